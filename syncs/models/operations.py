"""Writes to upstream systems, each with its whole story."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.models import Connection
from core.ids import new_id
from core.leases import LeasedWork
from core.scoping import scoped
from syncs.choices import UNFINISHED, OperationKind, OperationStatus, Stage
from syncs.querysets import OperationQuerySet
from workspaces.models import Workspace


class Operation(LeasedWork):
    """One create, update, delete or action sent upstream, with its outcome: a unit of leased work.

    `stage` tells what may have happened there: nothing yet; a request that was to be sent (whether it was is unknown
    until its answer is stored); accepted as a job; done, and only to be read back. Intent is committed before sending.
    """

    PREFIX = "op"
    RUNNABLE: ClassVar[tuple[str, ...]] = ("queued", "awaiting_source", "unknown")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="operations", db_index=False)
    entity = models.CharField(max_length=40)
    kind = models.CharField(max_length=8, choices=OperationKind.choices)
    action = models.CharField(max_length=60, blank=True, help_text="Name of the action, of an action.")
    status = models.CharField(max_length=16, choices=OperationStatus.choices, default=OperationStatus.QUEUED)
    stage = models.CharField(max_length=8, choices=Stage.choices, default=Stage.PLANNED)

    record_id = models.UUIDField(
        null=True, blank=True, help_text="The record it is about; of a create once it is known."
    )
    remote_id = models.CharField(max_length=512, blank=True, help_text="The object's id in the system.")
    request = models.JSONField(default=dict, help_text="What the caller sent.")
    values = models.JSONField(default=dict, help_text="The same with references as the system's ids.")
    expected_version = models.IntegerField(null=True, blank=True, help_text="From If-Match: the version to change.")
    mark = models.CharField(max_length=128, blank=True, help_text="Text by which a created object is found again.")
    calls = models.JSONField(default=list, help_text="The upstream requests, fixed before the first is sent.")
    call_no = models.PositiveSmallIntegerField(default=0, help_text="How many of them were answered.")
    before = models.JSONField(null=True, blank=True, help_text="The unified form just before the first request.")
    diff = models.JSONField(default=list, help_text="Field by field: pointer, before, after as wished.")
    not_applied = models.JSONField(default=list, help_text="Fields the system left as they were, by pointer.")
    job = models.JSONField(null=True, blank=True, help_text="How the system's own job is asked for.")
    candidates = models.JSONField(default=list, help_text="Look-alikes a person may choose from: remote_id, name, why.")
    effect = models.CharField(max_length=12, blank=True, help_text="Of a delete: what it really did there.")

    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  null: no key was sent
    request_digest = models.CharField(max_length=64, blank=True, help_text="Of entity, record, operation and body.")
    batch_id = models.UUIDField(null=True, blank=True, help_text="The bulk call it came with.")
    requested_by = models.CharField(max_length=160, blank=True)
    origin = models.CharField(max_length=12, default="api", help_text="api, admin, command.")

    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a request was begun.")
    troubles = models.PositiveSmallIntegerField(default=0, help_text="Transient failures in a row.")
    lookups = models.PositiveSmallIntegerField(default=0, help_text="How often an unknown outcome was looked up.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When the latest request was about to be sent.")
    lost_at = models.DateTimeField(null=True, blank=True, help_text="When waiting for its answer ended without one.")
    first_sent_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True, help_text="When its outcome was stored.")
    give_up_at = models.DateTimeField(null=True, blank=True, help_text="Nothing new is sent after this time.")
    job_deadline_at = models.DateTimeField(null=True, blank=True, help_text="By when the system's job must have ended.")
    error = models.JSONField(
        null=True, blank=True, help_text="code, category, message, who_must_act, retryable, source."
    )
    resolved_by = models.CharField(max_length=160, blank=True, help_text="Who decided a case only a person could.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(OperationQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="one_operation_per_key",
            ),
            models.UniqueConstraint(
                fields=["connection", "entity", "mark"],
                condition=Q(status__in=UNFINISHED, kind="create") & ~Q(mark=""),
                name="one_create_in_flight_per_mark",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=UNFINISHED), name="operation_by_due_time"),
            models.Index(fields=["workspace", "-created_at"], name="operation_of_workspace"),
            models.Index(fields=["connection", "-created_at"], name="operation_of_connection"),
            models.Index(fields=["record_id", "created_at"], name="operation_of_record"),
            models.Index(fields=["connection", "entity", "done_at"], name="operation_beside_pages"),
            models.Index(
                fields=["workspace", "-created_at"], condition=Q(status="needs_review"), name="op_needs_review"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.entity} {self.id}"

    @property
    def what(self) -> str:
        """The kind, or the action's name."""
        return self.action or self.kind
