"""What people do to runs: end them, go on after a failure, run again, and say how a step ended that nobody can tell.

Each is one transaction under the run's row lock, so that of two at once the second finds what the first did, and a worker
whose run was taken from it writes nothing more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import transaction

from core import ids
from core.errors import BusinessRuleError, ConflictError
from flows.choices import ENDED, FlowRunStatus, StepStatus, WaitsFor
from flows.engine.admission import NOT_ADMITTED, admit
from flows.engine.ending import end_run
from flows.engine.errors import CancelledError, stored_error
from flows.engine.hinting import run_soon
from flows.engine.retrying import ATTEMPT_FIELDS, begun_at, next_attempt
from flows.engine.sizes import fitting
from flows.models import FlowRun, StepRun
from flows.services.restarting import restart_failed
from flows.services.starting import Started, definition_of, start_run
from syncs.engine.outcomes import now
from workspaces import audit

__all__ = ["Outcome", "cancel_run", "rerun", "resolve_step", "retry_run"]

Outcome = Literal["succeeded", "failed", "repeat"]
_NOT_WAITING: dict[str, Any] = {"waits_for": "", "wait_operation_id": None, "wait_types": []}


@transaction.atomic
def cancel_run(run: FlowRun, *, by: str) -> FlowRun:
    """End a run: at once while it waits, else before its next step. What it asked of systems goes on there.

    Errors: ConflictError RUN_ENDED.
    """
    locked = _lock(run.pk)
    if locked.status in ENDED:
        raise ConflictError(f"The run has ended already: {locked.get_status_display().lower()}.", code="RUN_ENDED")
    if locked.status == FlowRunStatus.RUNNING:
        FlowRun.objects.filter(pk=locked.pk).update(cancel_requested=True)
    else:
        error = stored_error(CancelledError("Somebody cancelled the run."), locked.current_step)
        end_run(None, locked, FlowRunStatus.CANCELLED, error)
    _record("cancelled", locked, by=by)
    return _fresh(locked)


@transaction.atomic
def retry_run(run: FlowRun, *, by: str) -> FlowRun:
    """Go on with a failed run from the step it failed at, with the same version; what was done stays done.

    Of a for-each only the failed items are done again. A step whose outcome is open goes on asking for it.
    Errors: ConflictError RUN_NOT_FAILED.
    """
    locked = _lock(run.pk)
    if locked.status != FlowRunStatus.FAILED:
        raise ConflictError(
            f"Only a run that failed can be retried; this one is {locked.get_status_display().lower()}.",
            code="RUN_NOT_FAILED",
        )
    definition, at = definition_of(locked.version), now()
    restart_failed(locked, definition, at)
    FlowRun.objects.filter(pk=locked.pk).update(
        status=FlowRunStatus.QUEUED,
        admitted_at=at if locked.is_dry else None,
        due_at=at if locked.is_dry else NOT_ADMITTED,
        hinted_at=None,
        lease_until=None,
        finished_at=None,
        overdue_at=None if locked.is_dry else at + timedelta(seconds=definition.overdue_after_seconds),
        claims_without_progress=0,
        cancel_requested=False,
        error=None,
        **_NOT_WAITING,
    )
    _record("retried", locked, step=locked.current_step, by=by)
    if locked.is_dry:
        run_soon(locked.pk)
    else:
        admit(locked.flow_id)
    return _fresh(locked)


@transaction.atomic
def rerun(run: FlowRun, *, by: str) -> Started:
    """A new run on the latest version with the same input. It has no key: that of the first one is taken.

    Errors: as of `start_run`.
    """
    started = start_run(
        run.flow,
        trigger=run.trigger,  # type: ignore[arg-type]  # one of its words
        input=run.input,
        by=by,
        depth=run.depth,
        origin_flow_ids=run.origin_flow_ids,
        is_dry=run.is_dry,
        rerun_of=run,
    )
    _record("rerun", run, new=str(ids.show(FlowRun.PREFIX, started.run.pk)), by=by)
    return started


@transaction.atomic
def resolve_step(step_run: StepRun, *, outcome: Outcome, output: Any = None, by: str) -> StepRun:
    """Say how a step ended whose outcome is not known, and let the run go on.

    `succeeded`: with `output`, as the step would have given it. `failed`: it was not done, and the step's own `on_error`
    decides. `repeat`: it was not done, and is done again.
    Errors: ConflictError STEP_NOT_WAITING; ValidationFailedError for an output that cannot be stored.
    """
    run = _lock(step_run.run_id)
    row: StepRun = StepRun.objects.get(pk=step_run.pk)
    if run.status != FlowRunStatus.WAITING or run.waits_for != WaitsFor.PERSON or row.status != StepStatus.WAITING:
        raise ConflictError(
            f"There is nothing to decide: the step is {row.get_status_display().lower()}, the run"
            f" {run.get_status_display().lower()}.",
            code="STEP_NOT_WAITING",
        )
    if outcome == "succeeded":
        row.output = fitting(output, "The output", code="STEP_OUTPUT_TOO_LARGE")
        row.status, row.error, row.finished_at = StepStatus.SUCCEEDED, None, now()
    else:
        _settle(row, is_final=outcome == "failed")
    row.save(update_fields=list(ATTEMPT_FIELDS))
    FlowRun.objects.filter(pk=run.pk).update(
        status=FlowRunStatus.QUEUED, due_at=now(), hinted_at=now(), claims_without_progress=0, **_NOT_WAITING
    )
    _record("step_resolved", run, step=row.path, outcome=outcome, by=by)
    run_soon(run.pk)
    return row


def _settle(row: StepRun, *, is_final: bool) -> None:
    """The attempt was not done: the step's end, or another attempt."""
    at = now()
    error = stored_error(BusinessRuleError("A person found that it was not done.", code="NOT_DONE"), row.path)
    if is_final:
        row.status, row.error, row.output, row.finished_at = StepStatus.FAILED, error, {"error": error}, at
    else:
        next_attempt(row, error, begun=begun_at(row, at), ended_at=at)


def _lock(run_id: UUID) -> FlowRun:
    """First of all rows, so that a flow's row is never held while a run's is waited for."""
    found: FlowRun = FlowRun.objects.select_for_update(of=("self",)).select_related("flow", "version").get(pk=run_id)
    return found


def _fresh(run: FlowRun) -> FlowRun:
    run.refresh_from_db()
    return run


def _record(done: str, run: FlowRun, **details: str) -> None:
    about = ("flow_run", str(ids.show(FlowRun.PREFIX, run.pk)))
    flow = str(ids.show("flow", run.flow_id))
    audit.record(f"flow_run.{done}", workspace_id=run.workspace_id, about=about, details={"flow": flow, **details})
