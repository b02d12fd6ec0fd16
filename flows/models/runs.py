"""Executions, and what each step of them did."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id
from core.leases import LeasedWork
from core.scoping import scoped
from flows.choices import UNENDED, FlowRunStatus, StepStatus, TriggerKind, WaitsFor
from flows.models.definitions import Flow, FlowVersion
from flows.querysets import FlowRunQuerySet
from workspaces.choices import Environment
from workspaces.models import Workspace


class FlowRun(LeasedWork):
    """One execution of a version: a unit of leased work.

    A run is queued with `admitted_at` null while its flow runs as many as it may; it falls due when it is admitted.
    """

    PREFIX = "frun"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    environment = models.CharField(max_length=4, choices=Environment.choices)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="runs", db_index=False)
    version = models.ForeignKey(FlowVersion, on_delete=models.RESTRICT, related_name="+", db_index=False)
    status = models.CharField(max_length=16, choices=FlowRunStatus.choices, default=FlowRunStatus.QUEUED)
    trigger = models.CharField(max_length=8, choices=TriggerKind.choices)
    triggered_by = models.CharField(max_length=160, blank=True)
    input = models.JSONField(default=dict, help_text="What expressions see as `trigger`.")
    key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001  null: nothing to tell it by
    is_dry = models.BooleanField(default=False, help_text="A test: nothing is written, sent or waited for.")
    connection_ids = ArrayField(models.UUIDField(), default=list, help_text="Connections it may touch.")
    origin_flow_ids = ArrayField(models.UUIDField(), default=list, help_text="Flows whose runs led to this one.")
    depth = models.PositiveSmallIntegerField(default=0, help_text="How many runs of flows led to this one.")
    rerun_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)

    admitted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    overdue_at = models.DateTimeField(
        null=True, blank=True, help_text="An issue is raised when it has not ended by then."
    )
    cancel_requested = models.BooleanField(default=False)
    position = models.BigIntegerField(default=0, help_text="Waits match events of the feed after this one.")

    waits_for = models.CharField(max_length=10, choices=WaitsFor.choices, blank=True)
    wait_operation_id = models.UUIDField(null=True, blank=True)
    wait_types = ArrayField(models.CharField(max_length=60), default=list, help_text="Types of events that wake it.")
    current_step = models.CharField(max_length=600, blank=True, help_text="Path of the step it is at, or failed at.")
    error = models.JSONField(
        null=True, blank=True, help_text="code, category, message, who_must_act, retryable, action, step."
    )

    objects = scoped(FlowRunQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "key"], condition=Q(key__isnull=False), name="one_flow_run_per_key")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=UNENDED), name="flow_run_by_due_time"),
            models.Index(fields=["flow", "-id"], name="flow_run_of_flow"),
            models.Index(fields=["workspace", "-id"], name="flow_run_of_workspace"),
            models.Index(fields=["flow", "id"], condition=Q(status__in=UNENDED), name="flow_run_under_way"),
            models.Index(fields=["overdue_at"], condition=Q(status__in=UNENDED), name="flow_run_by_overdue_time"),
            models.Index(
                fields=["wait_operation_id"], condition=Q(waits_for="operation"), name="flow_run_behind_operation"
            ),
            models.Index(
                fields=["workspace", "environment"],
                condition=Q(waits_for="event", status="waiting"),
                name="flow_run_behind_event",
            ),
            GinIndex(fields=["connection_ids"], name="flow_run_of_connection"),
            # Looked up by the database whenever a version or a run is deleted.
            models.Index(fields=["version"], name="flow_run_of_version"),
            models.Index(fields=["rerun_of"], condition=Q(rerun_of__isnull=False), name="flow_run_by_earlier_run"),
        ]

    def __str__(self) -> str:
        return f"flow run {self.id}"


class StepRun(models.Model):
    """What one step of a run did: what went in, what came out, and every attempt.

    `path` is the step's name, below the item of a for-each: `each_line[po_123].create_order`. The item itself is a row too
    (`each_line[po_123]`, kind `item`). `input` is fixed before anything is done, so that going on does the same.
    """

    PREFIX = "fstep"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(FlowRun, on_delete=models.CASCADE, related_name="steps", db_index=False)
    path = models.CharField(max_length=600)
    scope = models.CharField(max_length=600, blank=True, help_text="Path of the item it belongs to; empty at the top.")
    name = models.CharField(max_length=300, help_text="The step's name, or an item's key.")
    kind = models.CharField(max_length=20, help_text="What it does, e.g. create_record; `item` of a for-each.")
    status = models.CharField(max_length=10, choices=StepStatus.choices, default=StepStatus.RUNNING)
    retry = models.PositiveSmallIntegerField(default=0, help_text="Rises only after an attempt that failed for sure.")
    has_begun = models.BooleanField(default=False, help_text="Something outside may have been done by this attempt.")
    input = models.JSONField(null=True, help_text="The step's values, expressions replaced; secrets cut.")
    output = models.JSONField(null=True)
    state = models.JSONField(default=dict, help_text="What the step keeps between two turns, e.g. a selection.")
    error = models.JSONField(null=True, blank=True)
    attempts = models.JSONField(
        default=list, help_text="Earlier attempts: retry, started_at, ended_at, error, operation."
    )
    operation_id = models.UUIDField(null=True, blank=True, help_text="The write it made.")
    call = models.JSONField(null=True, blank=True, help_text="The HTTP call it made: method, url, status, elapsed_ms.")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "path"], name="one_step_run_per_path")]
        indexes = [
            models.Index(fields=["run", "scope", "id"], name="step_run_in_scope"),
            models.Index(
                fields=["operation_id"], condition=Q(operation_id__isnull=False), name="step_run_of_operation"
            ),
        ]

    def __str__(self) -> str:
        return self.path


class WaitCursor(models.Model):
    """Up to which event waiting runs of one feed were looked at. Who begins to wait for an event locks it."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    environment = models.CharField(max_length=4, choices=Environment.choices)
    position = models.BigIntegerField(default=0)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "environment"], name="one_wait_cursor_per_feed")]

    def __str__(self) -> str:
        return f"{self.workspace_id} at {self.position}"
