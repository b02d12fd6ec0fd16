"""Who is told."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from webhooks.choices import EndpointStatus, Payload
from webhooks.querysets import EndpointQuerySet
from workspaces.choices import Environment
from workspaces.models import StoredSecret, Workspace


class WebhookEndpoint(models.Model):
    """An address of the vendor's that is told of events, from the position of the feed at which it was made.

    Every state but `status` is counted, not judged: what disables an endpoint is decided where deliveries end.
    """

    PREFIX = "whe"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="webhook_endpoints")
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    url = models.CharField(max_length=1000, help_text="Where to send to: https, or http in the test environment.")
    description = models.CharField(max_length=200, blank=True, help_text="What listens there.")
    connection_ids = ArrayField(
        models.UUIDField(), default=list, blank=True, help_text="Only events of these connections; empty: of all."
    )
    event_types = ArrayField(
        models.CharField(max_length=60), default=list, blank=True, help_text="Only these types; empty: all."
    )
    include_initial = models.BooleanField(
        default=False, help_text="Also record events of first syncs, which are skipped otherwise."
    )
    payload = models.CharField(max_length=4, choices=Payload.choices, default=Payload.THIN)

    status = models.CharField(max_length=8, choices=EndpointStatus.choices, default=EndpointStatus.ACTIVE)
    disabled_reason = models.CharField(max_length=300, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    position = models.BigIntegerField(default=0, help_text="Up to which event of the feed deliveries were made.")
    failures_in_row = models.PositiveIntegerField(default=0, help_text="Attempts that failed since the last good one.")
    failing_since = models.DateTimeField(null=True, blank=True, help_text="First failure since the last good attempt.")
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(
        null=True, blank=True, help_text="While it fails: the next attempt is not made before then."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(EndpointQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "environment", "status"], name="endpoint_by_feed")]

    def __str__(self) -> str:
        return self.description or self.url


class WebhookSecret(StoredSecret):
    """A signing secret of an endpoint (32 random bytes, base64). Two sign during a rotation."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="secrets")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Replaced: signs until then beside the new one.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=models.Q(expires_at=None), name="one_current_webhook_secret"
            )
        ]

    def __str__(self) -> str:
        return f"secret of {self.created_at:%Y-%m-%d}"

    @property
    def bound_to(self) -> str:
        return f"webhook-secret:{self.workspace_id}:{self.endpoint_id}:{self.id}"
