"""Connections."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.choices import MAY_SYNC, Access, ConnectionStatus
from connections.querysets import ConnectionQuerySet
from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment
from workspaces.models import Workspace


class Connection(models.Model):
    """One customer's link to one instance of a system.

    `paused` is stored apart from the health, so that resuming shows the health as it is. `status` is derived.
    """

    PREFIX = "con"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="connections")
    system = models.CharField(max_length=60, help_text="Which system, by its slug in the catalogue.")
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    name = models.CharField(max_length=120, help_text="How your people call it, e.g. the customer's name and plant.")
    customer_reference = models.CharField(
        max_length=120, blank=True, help_text="Your own id of the customer; you can filter by it."
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text="Free JSON object of yours, kept and shown as it is."
    )
    time_zone = models.CharField(
        max_length=64, default="UTC", help_text="IANA zone of times the system writes without one, e.g. Europe/Berlin."
    )
    config = models.JSONField(default=dict, help_text="The connector's settings without the secrets.")
    ca_certificate = models.TextField(
        blank=True, help_text="PEM of the customer's own certificate authority, if its server uses one."
    )
    client_certificate = models.TextField(
        blank=True, help_text="PEM of a client certificate, if the server asks for one."
    )
    proxy = models.CharField(max_length=300, blank=True, help_text="http(s) proxy to go through, without user name.")
    page_size = models.PositiveIntegerField(null=True, blank=True, help_text="Records a page; empty for the usual.")

    health = models.CharField(max_length=16, default=ConnectionStatus.PENDING, choices=ConnectionStatus.choices)
    paused = models.BooleanField(default=False, help_text="Pausing stops syncs, not writes.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="Last successful or failed check.")
    account = models.CharField(max_length=200, blank=True, help_text="Who we are there, as the system said.")
    system_version = models.CharField(max_length=80, blank=True)
    error = models.JSONField(
        null=True, blank=True, help_text="The last failure: code, category, message, who must act."
    )
    failures_in_row = models.PositiveIntegerField(default=0, help_text="Transient failures since the last good call.")
    circuit_open_until = models.DateTimeField(null=True, blank=True, help_text="No calls before then, but one probe.")
    probing = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="The one call of a half-open circuit is out."
    )
    budget_tokens = models.FloatField(default=0, help_text="Calls left of the system's limit (token bucket).")
    budget_at = models.DateTimeField(null=True, blank=True, help_text="When budget_tokens was computed.")

    next_poll_at = models.DateTimeField(
        null=True, db_default=Now(), editable=False, help_text="When its health is asked for next."
    )
    good_in_row = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False, help_text="Good calls since the last failure, while it is offline."
    )

    offline_since = models.DateTimeField(null=True, blank=True, editable=False, help_text="When it went offline.")

    probed = models.JSONField(
        null=True,
        blank=True,
        help_text="What the account may do there: entity, operation, yes or no; empty: not known.",
    )
    probed_at = models.DateTimeField(null=True, blank=True, help_text="When that was found out.")

    shared = models.JSONField(
        null=True,
        blank=True,
        help_text="What the customer shares: entity, read or read_write. Empty: everything the account may do.",
    )
    passthrough_shared = models.BooleanField(
        default=True, db_default=True, help_text="Whether the customer lets raw calls through."
    )
    purge_requested_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Deleted for everybody since then; its data goes in batches."
    )
    purge_progress = models.JSONField(
        null=True, blank=True, editable=False, help_text="What the purge deleted so far, rows by table."
    )

    online_since = models.DateTimeField(
        null=True, blank=True, help_text="When it came back from being offline or from needing a sign-in."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(ConnectionQuerySet, workspace="workspace")

    class Meta:
        ordering = ["name", "id"]
        indexes = [
            models.Index(fields=["workspace", "environment", "name"], name="connection_by_name"),
            models.Index(
                fields=["next_poll_at"],
                condition=Q(health__in=MAY_SYNC, paused=False, purge_requested_at=None),
                name="connection_by_next_poll",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """What is shown: disconnected wins, then needs_reauth, then paused, then the health."""
        if self.health in (ConnectionStatus.DISCONNECTED, ConnectionStatus.NEEDS_REAUTH):
            return self.health
        return ConnectionStatus.PAUSED.value if self.paused else self.health

    def shares(self, entity: str, *, write: bool = False) -> bool:
        """Whether the customer lets us read the entity, or write it."""
        if self.shared is None:
            return True
        access = self.shared.get(entity)
        return access == Access.READ_WRITE or (access == Access.READ and not write)

    def clean(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": f"{self.time_zone} is not an IANA time zone, e.g. Europe/Berlin."})
        if not isinstance(self.metadata, dict):
            raise ValidationError({"metadata": "Metadata must be a JSON object."})
