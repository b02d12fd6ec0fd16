"""Attempts: when another one follows, and what the row keeps of those before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core import ids
from core.errors import LineshaftError
from core.json import utc_text
from flows.choices import StepStatus
from flows.definitions.model import Retry
from flows.engine.errors import Stored
from flows.models import StepRun
from syncs.models import Operation

KEPT_ATTEMPTS = 20
ATTEMPT_FIELDS = (
    "status",
    "retry",
    "attempts",
    "has_begun",
    "operation_id",
    "call",
    "output",
    "error",
    "state",
    "started_at",
    "finished_at",
)
"""Columns that `next_attempt` and `start_over` change."""
# Kept in the row's state: when this attempt began, and the number of the first one since a person last had it retried.
_BEGUN, _FIRST = "attempt_at", "first_retry"


def pause_seconds(policy: Retry, row: StepRun, error: LineshaftError) -> float | None:
    """Seconds until the next attempt; None when there is none, because the error is for good or enough were made."""
    made = row.retry - int(row.state.get(_FIRST, 0)) + 1
    if not error.retryable or made >= policy.attempts:
        return None
    planned = min(policy.seconds * policy.factor ** (made - 1), policy.max_seconds)
    return max(planned, error.retry_after or 0.0)


def begun_at(row: StepRun, now: datetime) -> str:
    """When the present attempt began."""
    if row.retry == int(row.state.get(_FIRST, 0)):
        return utc_text(row.started_at)
    return str(row.state.get(_BEGUN) or utc_text(now))


def note_begun(row: StepRun, begun: str) -> None:
    """Keep when the attempt began over the turns it takes."""
    row.state = {**row.state, _BEGUN: begun}


def next_attempt(row: StepRun, error: Stored, *, begun: str, ended_at: datetime) -> None:
    """Put the attempt that failed for sure among the earlier ones; the row stands for the next one. Not saved."""
    row.attempts = [*row.attempts, _attempt(row, error, begun, ended_at)][-KEPT_ATTEMPTS:]
    row.retry += 1
    row.state = {name: value for name, value in row.state.items() if name != _BEGUN}
    row.status, row.error = StepStatus.RUNNING, error
    row.has_begun, row.operation_id, row.call, row.output, row.finished_at = False, None, None, None, None


def start_over(row: StepRun, *, at: datetime, is_settled: bool = True) -> None:
    """A person has a failed step tried again: as often as its policy says, and with its whole time. Not saved.

    `is_settled`: the last attempt failed for sure. Otherwise the same attempt goes on: what it had begun is asked after,
    never begun anew.
    """
    if is_settled:
        next_attempt(row, row.error or {}, begun=begun_at(row, at), ended_at=row.finished_at or at)
        row.state = {**row.state, _FIRST: row.retry}
    row.status, row.error, row.output, row.finished_at, row.started_at = StepStatus.RUNNING, None, None, None, at


def _attempt(row: StepRun, error: Stored, begun: str, ended_at: datetime) -> dict[str, Any]:
    told = {
        "retry": row.retry,
        "started_at": begun,
        "ended_at": utc_text(ended_at),
        "error": error,
        "operation": ids.show(Operation.PREFIX, row.operation_id),
    }
    return told if row.call is None else {**told, "call": row.call}
