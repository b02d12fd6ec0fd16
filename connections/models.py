"""One customer's link to one instance of a system, its secrets, its mappings, its health."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.choices import ConnectionStatus, OverriddenOperation
from connections.querysets import CallQuerySet, ConnectionQuerySet, MappingQuerySet
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

    probed = models.JSONField(
        null=True,
        blank=True,
        help_text="What the account may do there: entity, operation, yes or no; empty: not known.",
    )
    probed_at = models.DateTimeField(null=True, blank=True, help_text="When that was found out.")

    online_since = models.DateTimeField(
        null=True, blank=True, help_text="When it came back from being offline or from needing a sign-in."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(ConnectionQuerySet, workspace="workspace")

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["workspace", "environment", "name"], name="connection_by_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """What is shown: disconnected wins, then needs_reauth, then paused, then the health."""
        if self.health in (ConnectionStatus.DISCONNECTED, ConnectionStatus.NEEDS_REAUTH):
            return self.health
        return ConnectionStatus.PAUSED.value if self.paused else self.health

    def clean(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": f"{self.time_zone} is not an IANA time zone, e.g. Europe/Berlin."})
        if not isinstance(self.metadata, dict):
            raise ValidationError({"metadata": "Metadata must be a JSON object."})


class Credential(models.Model):
    """One secret of a connection, encrypted and bound to this row. Write-only everywhere."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="credentials")
    name = models.CharField(max_length=60)
    ciphertext = models.BinaryField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "name"], name="one_secret_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        """What the ciphertext is bound to: it decrypts nowhere else."""
        return f"credential:{self.workspace_id}:{self.connection_id}:{self.id}:{self.name}"


class Mapping(models.Model):
    """A frozen version of how one entity is mapped: the connector's default, or one connection's override.

    Rows never change once written: a change is a new version, so that a run can pin what it maps with.
    """

    PREFIX = "map"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="mappings")
    system = models.CharField(max_length=60)
    entity = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    connector_version = models.CharField(max_length=20, blank=True, help_text="Of a default: which connector wrote it.")
    digest = models.CharField(max_length=64, help_text="Of the rows; equal rows make no new version.")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True)

    objects = scoped(MappingQuerySet, workspace="workspace")

    class Meta:
        ordering = ["system", "entity", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["system", "entity", "version"], condition=Q(connection=None), name="one_default_mapping_version"
            ),
            models.UniqueConstraint(
                fields=["connection", "entity", "version"],
                condition=~Q(connection=None),
                name="one_override_mapping_version",
            ),
            models.UniqueConstraint(
                fields=["system", "entity"],
                condition=Q(connection=None, is_current=True),
                name="one_current_default_mapping",
            ),
            models.UniqueConstraint(
                fields=["connection", "entity"],
                condition=Q(is_current=True) & ~Q(connection=None),
                name="one_current_override_mapping",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.entity} {'override' if self.connection_id else 'default'} v{self.version}"


class MappingField(models.Model):
    """One row of a mapping: which unified field is made from what, and how."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()
    target = models.CharField(max_length=120, help_text="Unified field, or custom.<name>.")
    definition = models.JSONField(help_text="source, transforms, name_source, items, read_only; or {} to leave it out.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["mapping", "target"], name="one_row_per_target")]

    def __str__(self) -> str:
        return self.target


class CapabilityOverride(models.Model):
    """What an administrator forbade for one connection, though the system and its account allow it."""

    PREFIX = "cov"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="capability_overrides", db_index=False
    )
    entity = models.CharField(max_length=40)
    operation = models.CharField(max_length=8, choices=OverriddenOperation.choices)
    field = models.CharField(
        max_length=120, blank=True, help_text="That field alone (lines.quantity), or that action; empty: the whole."
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Shown to whoever asks why.")
    created_by = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["entity", "operation", "field"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "entity", "operation", "field"], name="one_capability_override"
            )
        ]

    def __str__(self) -> str:
        return f"no {self.operation} of {self.entity}{f' {self.field}' if self.field else ''}"


class UpstreamCall(models.Model):
    """One call to a connection's system, kept for who looks for the reason of something. Kept 14 days.

    It belongs to a run that failed, to an operation, or to nothing: then somebody made it by passthrough. Runs and
    operations live in a room above and are named by their ids alone.
    """

    PREFIX = "call"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="upstream_calls", db_index=False)
    run_id = models.UUIDField(null=True, blank=True, help_text="The sync run it was made for.")
    operation_id = models.UUIDField(null=True, blank=True, help_text="The operation it was made for.")
    triggered_by = models.CharField(max_length=160, blank=True, help_text="Who asked for it, of a passthrough call.")
    position = models.PositiveIntegerField(help_text="Which call of its owner it was, from 1; gaps were not kept.")
    method = models.CharField(max_length=20)
    url = models.TextField(help_text="The address called, secrets cut.")
    status = models.PositiveIntegerField(null=True, blank=True, help_text="HTTP status; empty when no answer came.")
    error_code = models.CharField(max_length=60, blank=True, help_text="Why no answer came.")
    started_at = models.DateTimeField(help_text="By the clock of the machine that called.")
    elapsed_ms = models.FloatField(help_text="Until the whole answer was there, milliseconds.")
    request_bytes = models.BigIntegerField(help_text="Sent, headers included, before TLS.")
    response_bytes = models.BigIntegerField(help_text="Received, headers included, before TLS.")
    request_body = models.TextField(blank=True, help_text="At most 4,096 characters, secrets cut.")
    response_body = models.TextField(blank=True, help_text="At most 4,096 characters, secrets cut.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(CallQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["run_id"], name="call_by_run", condition=Q(run_id__isnull=False)),
            models.Index(fields=["operation_id"], name="call_by_operation", condition=Q(operation_id__isnull=False)),
            models.Index(fields=["workspace", "id"], name="call_by_workspace"),
            models.Index(fields=["connection", "id"], name="call_by_connection"),
            models.Index(fields=["created_at"], name="call_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.status or self.error_code}"
