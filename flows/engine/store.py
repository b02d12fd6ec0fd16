"""How a run moves on: each function is one transaction under its lease, and renews it.

What a step gives is stored before the next one begins. What it takes is stored as it is, since it is also what is done:
secrets are not among the values of a definition (`secret_headers` names them), so nothing is cut from them here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from core.leases import Lease, LeaseLostError
from flows.choices import FlowRunStatus, StepStatus, WaitsFor
from flows.engine.admission import NOT_ADMITTED
from flows.engine.hinting import run_soon
from flows.engine.turn import Later
from flows.engine.work import Work
from flows.models import FlowRun, StepRun, WaitCursor

_PROGRESS = f"""UPDATE flows_flowrun SET claims_without_progress = 0, current_step = %s,
    lease_until = clock_timestamp() + %s * interval '1 second'
    WHERE {Lease.HELD} RETURNING cancel_requested"""  # noqa: S608 (our own text)
_TAKE_UP = f"""UPDATE flows_flowrun SET started_at = coalesce(started_at, clock_timestamp()),
    waits_for = '', wait_operation_id = NULL, wait_types = '{{}}'
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS here
    WHERE {Lease.HELD} RETURNING started_at, clock_timestamp()"""  # noqa: S608 (our own text)
_CURSOR = "SELECT position FROM flows_waitcursor WHERE workspace_id = %s AND environment = %s FOR SHARE"


def save(work: Work, row: StepRun, fields: Sequence[str], also: Callable[[], Any] | None = None) -> Any:
    """Store a step's row: all of a new one, else these fields. What `also` does is in the same transaction.

    Progress: the run's earlier claims are forgotten. Answers what `also` does. Errors: LeaseLostError.
    """
    with transaction.atomic():
        work.is_cancelled = _progress(work.lease, row.path) or work.is_cancelled
        told = also() if also is not None else None
        _write(row, fields)
    return told


def finish(work: Work, row: StepRun, output: Any, *, call: Any = None, also: Callable[[], Any] | None = None) -> None:
    """The step succeeded. `also` is done in the same transaction and answers the output in place of `output`."""

    def give() -> None:
        row.output = output if also is None else also()

    row.status, row.finished_at, row.error = StepStatus.SUCCEEDED, work.clock.now(), None
    if call is not None:
        row.call = dict(call)
    save(work, row, ["status", "output", "error", "call", "finished_at"], give)


def fail(work: Work, row: StepRun, error: dict[str, Any]) -> None:
    """The step failed for good."""
    row.status, row.finished_at, row.error = StepStatus.FAILED, work.clock.now(), error
    row.output = {"error": error}
    save(work, row, ["status", "output", "error", "call", "finished_at"])


def skip(work: Work, row: StepRun, error: dict[str, Any] | None = None) -> None:
    """The step is not done."""
    row.status, row.finished_at, row.error = StepStatus.SKIPPED, work.clock.now(), error
    save(work, row, ["status", "error", "finished_at"])


def wait(work: Work, row: StepRun, later: Later) -> bool:
    """Give the worker back; waiting is no failed claim. False when events came in that `later` has not looked at.

    Lock order: cursor -> run, as of the tick that wakes runs.
    """
    if later.types:
        _ensure_cursor(work.run, later.position)
    row.status, row.state = StepStatus.WAITING, {**row.state, **later.state}
    with transaction.atomic():
        if later.types and _cursor(work.run) > later.position:
            return False
        _give_back(work, later, row.path)
        _write(row, ["status", "state", "error", "call", "retry", "attempts", "has_begun", "operation_id"])
    return True


def pause(work: Work, until: datetime, path: str) -> None:
    """As `wait`, of a run between two steps."""
    with transaction.atomic():
        _give_back(work, Later(WaitsFor.TIME, until=until), path)


def requeue(lease: Lease) -> None:
    """Give others their turn and go on at once."""
    with transaction.atomic():
        lease.lock()
        FlowRun.objects.filter(pk=lease.pk).update(
            status=FlowRunStatus.QUEUED, due_at=Now(), lease_until=None, hinted_at=Now()
        )
        run_soon(lease.pk)


def take_up(run: FlowRun, lease: Lease) -> datetime:
    """Note that the run has begun, and that it does not wait any more. Answers the database's time. Errors: LeaseLostError.

    Its commit does not wait for the disk: what is lost with it is noted again.
    """
    with database.cursor() as cursor:
        cursor.execute(_TAKE_UP, [lease.pk, lease.fence])
        row = cursor.fetchone()
    if row is None:
        raise LeaseLostError(f"{lease.table} {lease.pk} fence {lease.fence}")
    run.started_at, at = row
    run.waits_for, run.wait_operation_id, run.wait_types = "", None, []
    return at  # type: ignore[no-any-return]


def _progress(lease: Lease, path: str) -> bool:
    """Lock the run, renew its lease, and answer whether somebody wishes it to end."""
    with database.cursor() as cursor:
        cursor.execute(_PROGRESS, [path[:600], lease.seconds, lease.pk, lease.fence])
        row = cursor.fetchone()
    if row is None:
        raise LeaseLostError(f"{lease.table} {lease.pk} fence {lease.fence}")
    return bool(row[0])


def _write(row: StepRun, fields: Sequence[str]) -> None:
    if row._state.adding:
        row.save(force_insert=True)
    else:
        row.save(update_fields=list(fields))


def _give_back(work: Work, later: Later, path: str) -> None:
    """In the current transaction. Waiting is no failed claim; somebody who wishes the run to end need not wait."""
    (is_cancelled,) = work.lease.lock(returning="cancel_requested")
    FlowRun.objects.filter(pk=work.lease.pk).update(
        status=FlowRunStatus.WAITING,
        due_at=Now() if is_cancelled else _due(work, later.until),
        lease_until=None,
        hinted_at=None,
        waits_for=later.waits_for,
        wait_operation_id=later.operation_id,
        wait_types=list(later.types),
        current_step=path[:600],
        claims_without_progress=Greatest(F("claims_without_progress") - 1, 0),
    )


def _due(work: Work, until: datetime | None) -> datetime:
    """Never later than a time limit around."""
    return min(time for time in (until, work.latest(), NOT_ADMITTED) if time is not None)


def _ensure_cursor(run: FlowRun, position: int) -> None:
    """Nobody waited before where there is none, so that nothing is missed by beginning here."""
    feed = {"workspace_id": run.workspace_id, "environment": run.environment}
    if not WaitCursor.objects.filter(**feed).exists():
        WaitCursor.objects.bulk_create([WaitCursor(**feed, position=position)], ignore_conflicts=True)


def _cursor(run: FlowRun) -> int:
    """Up to where waiting runs were looked at; it stays there for this transaction."""
    with database.cursor() as cursor:
        cursor.execute(_CURSOR, [run.workspace_id, run.environment])
        return int(cursor.fetchone()[0])
