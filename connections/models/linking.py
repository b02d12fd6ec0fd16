"""Link, the connect flow: one row for each time that a customer is asked to connect."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from connections.choices import LinkStatus
from connections.models.connections import Connection
from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment
from workspaces.models import StoredSecret, Workspace


class LinkSession(models.Model):
    """An invitation to connect, and how far the customer has come. Tokens and codes are kept as digests only."""

    PREFIX = "lnk"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="link_sessions")
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    digest = models.BinaryField(max_length=32, unique=True, editable=False, help_text="Of the token in the address.")
    status = models.CharField(max_length=10, choices=LinkStatus.choices, default=LinkStatus.OPEN)
    is_magic = models.BooleanField(default=False, help_text="A link to be shared, valid for days.")

    system = models.CharField(max_length=60, blank=True, help_text="The one to connect; empty: the customer chooses.")
    name = models.CharField(max_length=120, blank=True, help_text="Name of the connection; empty: the system's.")
    customer_reference = models.CharField(max_length=120, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    entities = models.JSONField(null=True, help_text="What is asked for: entity, read or read_write; empty: all.")
    passthrough = models.BooleanField(default=False, help_text="Whether raw calls are asked for.")
    redirect_uri = models.CharField(max_length=500, blank=True, help_text="Where the page returns to in the end.")
    origin = models.CharField(max_length=200, blank=True, help_text="Whose page opened it as a popup.")
    state = models.CharField(max_length=500, blank=True, help_text="Given back in the end as it was.")

    connection = models.ForeignKey(
        Connection,
        on_delete=models.CASCADE,
        null=True,
        related_name="link_sessions",
        help_text="The one to sign in again, or the one that was made.",
    )
    is_renewal = models.BooleanField(default=False, help_text="Signs an existing connection in again.")

    browser_digest = models.BinaryField(
        max_length=32, null=True, editable=False, help_text="Of the cookie of the browser that works on it."
    )
    chosen_system = models.CharField(max_length=60, blank=True)
    config = models.JSONField(default=dict, help_text="What was filled in, without secrets.")
    found = models.JSONField(default=dict, help_text="What the test told: checks, account, permissions, choices.")
    oauth_state_digest = models.BinaryField(max_length=32, null=True, editable=False)

    code_digest = models.BinaryField(max_length=32, null=True, editable=False, unique=True)
    code_expires_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(help_text="Nobody can go on with it from then on (UTC).")
    finished_at = models.DateTimeField(null=True)
    exchanged_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "id"], name="link_session_by_workspace"),
            models.Index(fields=["expires_at"], name="link_session_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"link session of {self.created_at:%Y-%m-%d %H:%M}"


class LinkSecret(StoredSecret):
    """What a customer typed or a system granted, until the flow ends: finished, refused or expired, it is deleted."""

    session = models.ForeignKey(LinkSession, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "name"], name="one_link_secret_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        return f"link-secret:{self.workspace_id}:{self.session_id}:{self.id}:{self.name}"
