"""How an operation stands, derived from its row, its lease and its connection: what it does now or waits for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from core.admin_texts import duration, plural, relative
from core.leases import MAX_CLAIMS_WITHOUT_PROGRESS
from syncs.choices import UNFINISHED, OperationKind, OperationStatus, Stage
from syncs.models import Operation

__all__ = ["Standing", "earlier_ones", "standing"]

EFFECTS = {
    "hard": "deleted for good",
    "soft": "flagged as deleted",
    "cancel": "cancelled by its status",
    "deactivate": "deactivated",
}
"""What a delete does there, by the declared kind."""
LONG_WAIT_SECONDS = 60
_WORKS_AT = {
    Stage.PLANNED: "A worker reads the object and works out what to send.",
    Stage.SENDING: "A worker sends a request, or looks up what became of it.",
    Stage.ACCEPTED: "A worker asks the system for the job it made of it.",
    Stage.APPLIED: "It is done in the system; a worker reads the result back.",
}
_UNDECIDED = {
    Stage.SENDING: "A request was sent, and Lineshaft cannot tell whether it was done. It is not sent again without you.",
    Stage.ACCEPTED: "The system took it as a job, and its end is not known.",
    Stage.APPLIED: "The system did it; reading the result back did not succeed.",
}


@dataclass(frozen=True)
class Standing:
    """What an operation waits for or does now, in one or two sentences; `behind` is the operation it waits for."""

    text: str
    behind: UUID | None = None


def standing(operation: Operation, behind: UUID | None = None) -> Standing:
    """By the row, its lease and its connection, so that it can neither be stuck nor lie."""
    status, stage = operation.status, Stage(operation.stage)
    if status == OperationStatus.RUNNING:
        return Standing(_at_work(operation))
    if status == OperationStatus.QUEUED:
        return _queued(operation, behind)
    if status == OperationStatus.UNKNOWN:
        late = "The system's own job did not end in time. It is still asked for"
        sent = "A request was sent and its answer was lost. What became of it is being looked up"
        text = f"{late if stage == Stage.ACCEPTED else sent}, next {_next(operation)}."
        return Standing(text + _resting(operation))
    if status == OperationStatus.AWAITING_SOURCE:
        job = "The system took it as a job and works on it; it is asked again"
        done = "The system did it; the result is read back"
        text = f"{done if stage == Stage.APPLIED else job} {_next(operation)}."
        return Standing(text + _resting(operation))
    if status == OperationStatus.NEEDS_REVIEW:
        return Standing(_UNDECIDED.get(stage, "Lineshaft cannot tell whether it was done."))
    return Standing(_ended(operation))


def earlier_ones(operations: Iterable[Operation]) -> dict[UUID, UUID]:
    """Of those that wait for their turn at a record: the operation before each, by its id. One query, or none."""
    waiting = [row for row in operations if _may_wait(row)]
    if not waiting:
        return {}
    rows = Operation.objects.filter(record_id__in={row.record_id for row in waiting}, status__in=UNFINISHED)
    before: dict[UUID | None, list[tuple[datetime, UUID]]] = {}
    for record_id, created_at, pk in rows.values_list("record_id", "created_at", "pk"):
        before.setdefault(record_id, []).append((created_at, pk))
    found = {}
    for row in waiting:
        earlier = [at for at in before.get(row.record_id, []) if at < (row.created_at, row.pk)]
        if earlier:
            found[row.pk] = max(earlier)[1]
    return found


def _may_wait(row: Operation) -> bool:
    return (
        row.status == OperationStatus.QUEUED
        and row.stage == Stage.PLANNED
        and not row.call_no
        and row.record_id is not None
    )


def _at_work(operation: Operation) -> str:
    if operation.lease_until is not None and operation.lease_until > timezone.now():
        return _WORKS_AT.get(Stage(operation.stage), "A worker works on it.")
    taken = f"{operation.claims_without_progress} of {MAX_CLAIMS_WITHOUT_PROGRESS}"
    return f"The worker that had it was lost; another takes it up by itself (take-up {taken} without progress)."


def _queued(operation: Operation, behind: UUID | None) -> Standing:
    if behind is not None:
        return Standing("It waits for its turn: an earlier operation on the same record has not ended.", behind)
    resting = _resting(operation)
    if operation.due_at > timezone.now():
        why = "The system did not take the request; it is tried again" if operation.error else "It is taken up"
        return Standing(f"{why} {_next(operation)}.{resting}")
    waited = (timezone.now() - operation.due_at).total_seconds()
    if waited > LONG_WAIT_SECONDS:
        told = f"No worker has taken it up for {duration(waited)}: is manage.py worker operations running?"
        return Standing(told + resting)
    return Standing(f"It waits for a worker.{resting}")


def _next(operation: Operation) -> str:
    return relative(operation.due_at) if operation.due_at > timezone.now() else "at once"


def _resting(operation: Operation) -> str:
    """What the connection adds to a wait."""
    until = operation.connection.circuit_open_until
    if until is None or until <= timezone.now():
        return ""
    return f" The system does not answer at the moment: no call is made before {until:%H:%M:%S} UTC."


def _ended(operation: Operation) -> str:
    if operation.status == OperationStatus.FAILED:
        return "" if operation.error else "It failed."
    if operation.not_applied:
        missed = plural(len(operation.not_applied), "field was", "fields were")
        return f"It was done, but {missed} not taken up by the system."
    if operation.kind == OperationKind.DELETE:
        return f"In the system the object is now {EFFECTS.get(operation.effect, 'gone')}."
    return "" if operation.first_sent_at else "Everything wished was there already, so nothing was sent."
