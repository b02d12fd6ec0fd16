"""What others send to flows, and the secrets that flows send to others."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from flows.choices import HookMessageStatus
from flows.models.definitions import Flow
from flows.models.runs import FlowRun
from workspaces.models import StoredSecret, Workspace


class FlowHookAddress(StoredSecret):
    """The address that starts a flow, `/flow-hooks/{flow}/{secret}`; found by the digest of the secret in it.

    The sealed secret is the one the sender signs with, where the trigger declares a signature.
    """

    flow = models.OneToOneField(Flow, on_delete=models.CASCADE, related_name="hook_address")
    digest = models.BinaryField(max_length=32, unique=True, editable=False, help_text="Of the secret in the address.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_received_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"hook of {self.flow_id}"

    @property
    def bound_to(self) -> str:
        return f"flow-hook:{self.workspace_id}:{self.flow_id}:{self.id}"


class FlowHookMessage(models.Model):
    """One message to a flow, stored raw with what became of it. Kept 14 days."""

    PREFIX = "fmsg"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="messages", db_index=False)
    headers = models.JSONField(default=dict, help_text="Lower-case names, secrets cut.")
    body = models.BinaryField(help_text="As received, at most 256 KiB.")
    status = models.CharField(max_length=8, choices=HookMessageStatus.choices)
    run = models.ForeignKey(FlowRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    error = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["flow", "id"], name="flow_message_of_flow"),
            models.Index(fields=["received_at"], name="flow_message_by_age"),
            # Looked up by the database whenever a run is deleted.
            models.Index(fields=["run"], condition=Q(run__isnull=False), name="flow_message_of_run"),
        ]

    def __str__(self) -> str:
        return f"message of {self.received_at:%Y-%m-%d %H:%M}"


class FlowSecret(StoredSecret):
    """A secret that an `http_request` step of a flow sends in a header, known to its definition by name alone."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["flow", "name"], name="one_flow_secret_of_a_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        return f"flow-secret:{self.workspace_id}:{self.flow_id}:{self.name}:{self.id}"
