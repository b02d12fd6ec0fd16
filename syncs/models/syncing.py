"""Standing orders to keep entities fresh, their executions, and the unified copies."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.models import Connection, Mapping
from core.ids import new_id
from core.leases import LeasedWork
from core.scoping import scoped
from syncs.choices import ACTIVE, Mode, Phase, Review, RunStatus, Trigger
from syncs.querysets import RecordQuerySet, RunQuerySet, SyncQuerySet
from workspaces.models import Workspace

SECONDS = [MinValueValidator(60), MaxValueValidator(86_400)]


class Sync(models.Model):
    """The standing order to keep one entity of one connection fresh."""

    PREFIX = "syn"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="syncs")
    entity = models.CharField(max_length=40)
    enabled = models.BooleanField(default=True, help_text="Off: the entity is not shared, and never fetched.")
    paused = models.BooleanField(default=False, help_text="No scheduled or triggered runs until resumed.")
    interval_seconds = models.PositiveIntegerField(
        default=900, validators=SECONDS, help_text="Seconds between incremental runs, 60 to 86,400."
    )
    full_interval_seconds = models.PositiveIntegerField(
        default=86_400,
        validators=[MinValueValidator(300), MaxValueValidator(30 * 86_400)],
        help_text="Seconds between full runs, which find deletions.",
    )
    history_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Days of closed documents the first sync takes; empty takes everything."
    )
    history_from = models.DateTimeField(null=True, blank=True, help_text="Start of the window, fixed by the first run.")
    cursor = models.DateTimeField(null=True, blank=True, help_text="Greatest change time seen (remote clock, UTC).")
    data_as_of = models.DateTimeField(null=True, blank=True, help_text="Upper bound of the last good window.")
    requested_mode = models.CharField(max_length=12, choices=Mode.choices, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True, db_default=Now(), help_text="Due time of the next run.")
    next_full_at = models.DateTimeField(null=True, blank=True, help_text="From then on the next run is a full one.")
    initial_completed_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    failures_in_row = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True, blank=True, help_text="End of the last failed run.")
    unavailable = models.CharField(
        max_length=300, blank=True, help_text="Why this instance does not offer the entity; empty when it does."
    )
    default_mapping = models.ForeignKey(
        Mapping,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="With which version the whole copy was mapped; another one calls for a re-map.",
    )
    override_mapping = models.ForeignKey(
        Mapping, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    last_full_run_id = models.UUIDField(null=True, blank=True, help_text="The last complete full walk.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(SyncQuerySet, workspace="workspace")

    class Meta:
        ordering = ["connection", "entity"]
        constraints = [models.UniqueConstraint(fields=["connection", "entity"], name="one_sync_per_entity")]
        indexes = [
            models.Index(fields=["next_run_at"], condition=Q(enabled=True, paused=False), name="sync_by_due_time"),
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.entity}"


class SyncRun(LeasedWork):
    """One execution of a sync: a unit of leased work."""

    PREFIX = "run"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="runs", db_index=False)
    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="runs", db_index=False)
    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.QUEUED)
    mode = models.CharField(max_length=12, choices=Mode.choices)
    trigger = models.CharField(max_length=12, choices=Trigger.choices, default=Trigger.SCHEDULE)
    triggered_by = models.CharField(max_length=160, blank=True)
    phase = models.CharField(max_length=12, choices=Phase.choices, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)

    window_since = models.DateTimeField(null=True, blank=True, help_text="Lower bound by the remote's clock.")
    window_until = models.DateTimeField(null=True, blank=True, help_text="Upper bound, fixed at the start.")
    default_mapping = models.ForeignKey(Mapping, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    override_mapping = models.ForeignKey(Mapping, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    position = models.JSONField(null=True, blank=True, help_text="Checkpoint: where the connector goes on.")
    walk_done = models.BooleanField(default=False, help_text="Every page was written.")
    page_no = models.PositiveIntegerField(default=0)
    last_page_digest = models.CharField(max_length=32, blank=True, help_text="Of the last page's ids: finds repeats.")
    restarts = models.PositiveSmallIntegerField(
        default=0, help_text="How often a lost page token restarted the window."
    )
    newest = models.DateTimeField(null=True, blank=True, help_text="Greatest change time seen so far.")
    total = models.BigIntegerField(null=True, blank=True, help_text="What the system counts, if it says.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Transient failures in a row within this run.")

    read_count = models.BigIntegerField(default=0)
    created_count = models.BigIntegerField(default=0)
    updated_count = models.BigIntegerField(default=0)
    deleted_count = models.BigIntegerField(default=0)
    unchanged_count = models.BigIntegerField(default=0)
    quarantined_count = models.BigIntegerField(default=0)

    error = models.JSONField(
        null=True, blank=True, help_text="code, category, message, who_must_act, retryable, action."
    )
    review = models.CharField(max_length=12, choices=Review.choices, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.CharField(max_length=160, blank=True)

    objects = scoped(RunQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["sync"], condition=Q(status__in=ACTIVE), name="one_active_run_per_sync")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=ACTIVE), name="run_by_due_time"),
            models.Index(fields=["workspace", "-created_at"], name="run_of_workspace"),
            models.Index(fields=["connection", "-created_at"], name="run_of_connection"),
            models.Index(fields=["sync", "-created_at"], name="run_of_sync"),
            models.Index(fields=["sync"], condition=Q(status=RunStatus.NEEDS_REVIEW), name="run_that_needs_review"),
        ]

    def __str__(self) -> str:
        return f"{self.get_mode_display()} run {self.id}"


class RunPage(models.Model):
    """Which records a page of a complete walk showed: what is in none of them may be gone."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="pages", db_index=False)
    page_no = models.PositiveIntegerField()
    record_ids = ArrayField(models.UUIDField())

    objects = scoped(models.QuerySet, workspace="run__workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "page_no"], name="one_row_per_page")]

    def __str__(self) -> str:
        return f"{self.run_id} page {self.page_no}"


class Record(models.Model):
    """The unified copy of one upstream object, beside the raw object it came from.

    Written only by the engine's SQL, read through `syncs.packing`. Rows carry no foreign-key constraints and `body` is text,
    rendered once: both were measured to matter at 100,000 rows. `id` is derived from connection, entity and remote id.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    connection = models.ForeignKey(
        Connection, on_delete=models.DO_NOTHING, related_name="records", db_constraint=False, db_index=False
    )
    entity = models.CharField(max_length=40)
    remote_id = models.CharField(max_length=512)
    version = models.IntegerField(default=1, help_text="Rises with each change of the unified form.")
    changed_at = models.DateTimeField(help_text="Our time of the last change of the copy.")
    deleted_at = models.DateTimeField(null=True)
    written_at = models.DateTimeField(help_text="When this row was last written, changed or not.")
    remote_created_at = models.DateTimeField(null=True)
    remote_updated_at = models.DateTimeField(null=True)
    body = models.BinaryField(help_text="The unified form as JSON text without what the row itself says, packed.")
    raw = models.BinaryField(help_text="The upstream object as it came, packed.")
    fingerprint = models.BinaryField(null=True, help_text="Keyed digest of the raw bytes; null forces a rewrite.")
    unified_digest = models.BinaryField(help_text="Digest of the unified form.")
    filters = models.JSONField(default=dict, help_text="Values of the filterable fields.")
    last_change = models.CharField(max_length=8, help_text="What the last write did: created, updated, restored, same.")
    run_id = models.UUIDField(null=True, help_text="The run that wrote it last.")
    missing_in_run_id = models.UUIDField(null=True, help_text="The full run that did not find it.")

    objects = scoped(RecordQuerySet, workspace="workspace")

    class Meta:
        indexes = [
            models.Index(fields=["connection", "entity", "changed_at", "id"], name="record_in_list_order"),
            GinIndex(fields=["filters"], name="record_by_filter", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.remote_id}"


class RecordDictionary(models.Model):
    """What zstd learnt from the objects of one entity of a connection. Kept as long as records name it."""

    id = models.BigIntegerField(primary_key=True, help_text="The number that packed records name.")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    entity = models.CharField(max_length=40)
    data = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    objects = scoped(models.QuerySet, workspace="workspace")

    def __str__(self) -> str:
        return f"{self.entity} {self.pk}"


class QuarantinedRecord(models.Model):
    """An upstream object that could not be copied, with the reason. Tried again in each run; counts as seen."""

    PREFIX = "qua"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="quarantined", db_index=False)
    record_id = models.UUIDField(help_text="The id its record has or would have.")
    remote_id = models.TextField(help_text="As it came, cut at 2,000 characters.")
    raw = models.BinaryField(help_text="The object's bytes.")
    code = models.CharField(max_length=40)
    detail = models.CharField(max_length=1000)
    attempts = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [models.UniqueConstraint(fields=["sync", "record_id"], name="one_quarantine_per_record")]

    def __str__(self) -> str:
        return f"{self.code} {self.remote_id[:60]}"


class Reread(models.Model):
    """An object a page showed while a write of our own was under way: it is read alone before a run ends."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="rereads", db_index=False)
    record_id = models.UUIDField(help_text="The id its record has or would have.")
    remote_id = models.CharField(max_length=512)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sync", "record_id"], name="one_reread_per_record")]

    def __str__(self) -> str:
        return self.remote_id


class Suspect(models.Model):
    """A record a complete walk did not show, held back for a person to decide."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="suspects", db_index=False)
    record_id = models.UUIDField()
    remote_id = models.CharField(max_length=512)

    objects = scoped(models.QuerySet, workspace="run__workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "record_id"], name="one_suspicion_per_record")]

    def __str__(self) -> str:
        return self.remote_id
