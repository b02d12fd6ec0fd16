"""The end of a run: its status, the steps it leaves, the event and the place for the next run, in one transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from core import ids
from core.leases import Lease
from flows.choices import UNENDED, FlowRunStatus, StepStatus
from flows.engine.admission import admit
from flows.engine.errors import CancelledError, Stored, stored_error, told_error
from flows.engine.scopes import OPEN
from flows.models import Flow, FlowRun, FlowVersion, StepRun
from syncs.models import Operation
from workspaces.choices import EventType
from workspaces.events import emit


def end_run(lease: Lease | None, run: FlowRun, status: FlowRunStatus, error: Stored | None = None) -> bool:
    """End a run: by whoever works on it, under its lease, or without one where nobody does. False when it had ended.

    Its open steps end as it does. Tells `flow.succeeded` or `flow.failed`, unless it is dry or was cancelled, and lets the
    flow's next run begin. Lock order: run -> flow -> feed. Errors: LeaseLostError.
    """
    with transaction.atomic():
        if lease is not None:
            lease.lock()
        else:
            FlowRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
        ended = FlowRun.objects.filter(pk=run.pk, status__in=UNENDED).update(
            status=status,
            finished_at=Now(),
            lease_until=None,
            error=error,
            waits_for="",
            wait_operation_id=None,
            wait_types=[],
        )
        if not ended:
            return False
        _close_steps(run, status, error)
        if not run.is_dry and status != FlowRunStatus.CANCELLED:
            _tell(run, status, error)
        admit(run.flow_id)
    return True


def _close_steps(run: FlowRun, status: FlowRunStatus, error: Stored | None) -> None:
    """Those in which the run ends: a for-each around a `stop`, what a cancelled run was at."""
    for row in StepRun.objects.filter(run=run, status__in=OPEN):
        row.finished_at = Now()
        if status == FlowRunStatus.SUCCEEDED:
            row.status = StepStatus.SUCCEEDED
        else:
            row.status = StepStatus.FAILED
            row.error = (
                _cancelled(row) if status == FlowRunStatus.CANCELLED or error is None else {**error, "step": row.path}
            )
        row.save(update_fields=["status", "error", "finished_at"])


def _cancelled(row: StepRun) -> Stored:
    """What was begun outside is not undone by it, and the step says so."""
    detail = "The run was cancelled before this step was done."
    if row.operation_id is not None:
        shown = ids.show(Operation.PREFIX, row.operation_id)
        detail = f"The run was cancelled; its write goes on by itself: see the operation {shown} for what became of it."
    elif row.has_begun:
        detail = "The run was cancelled; what this step had begun may have been done: look it up there."
    return stored_error(CancelledError(detail), row.path)


def _tell(run: FlowRun, status: FlowRunStatus, error: Stored | None) -> None:
    number = FlowVersion.objects.values_list("number", flat=True).get(pk=run.version_id)
    shown: Any = ids.show(FlowRun.PREFIX, run.pk)
    emit(
        EventType.FLOW_SUCCEEDED if status == FlowRunStatus.SUCCEEDED else EventType.FLOW_FAILED,
        data={
            "flow": ids.show(Flow.PREFIX, run.flow_id),
            "run": shown,
            "version": number,
            "trigger": run.trigger,
            "error": told_error(error),
        },
        workspace_id=run.workspace_id,
        environment=run.environment,
        reason="flow",
        origin_run=shown,
    )
