"""What systems tell us."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from connections.models import Connection
from core.ids import new_id
from core.scoping import scoped
from webhooks.choices import HookStatus
from webhooks.querysets import InboundHookQuerySet
from workspaces.models import StoredSecret, Workspace


class HookAddress(StoredSecret):
    """The address a system sends to, `/hooks/{connection}/{secret}`; found by the digest of the secret in it.

    The sealed secret is the one the system signs with, where its connector declares a signature.
    """

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="hook_address")
    digest = models.BinaryField(max_length=32, unique=True, editable=False, help_text="Of the secret in the address.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_received_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"hooks of {self.connection_id}"

    @property
    def bound_to(self) -> str:
        return f"hook-address:{self.workspace_id}:{self.connection_id}:{self.id}"


class InboundHook(models.Model):
    """One message of a system, stored raw before anything is made of it. Kept 14 days."""

    PREFIX = "hook"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="inbound_hooks", db_index=False)
    headers = models.JSONField(default=dict, help_text="Lower-case names, secrets cut.")
    body = models.BinaryField(help_text="As received, at most 1 MiB.")
    message_id = models.CharField(max_length=200, blank=True, help_text="The system's own id of it, if it sends one.")
    status = models.CharField(max_length=8, choices=HookStatus.choices, default=HookStatus.RECEIVED)
    entities = models.JSONField(default=list, help_text="The entities it names, which sync now.")
    error = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    done_at = models.DateTimeField(null=True, blank=True)

    objects = scoped(InboundHookQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "id"], name="hook_by_workspace"),
            models.Index(fields=["connection", "id"], name="hook_by_connection"),
            models.Index(fields=["received_at"], condition=models.Q(status="received"), name="hook_to_do"),
            models.Index(fields=["received_at"], name="hook_by_age"),
            models.Index(
                fields=["connection", "message_id"], condition=~models.Q(message_id=""), name="hook_by_message"
            ),
        ]

    def __str__(self) -> str:
        return f"hook of {self.received_at:%Y-%m-%d %H:%M}"
