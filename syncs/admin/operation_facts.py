"""An operation as lists and its own page show it: what it is, and how it stands by row, lease and connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from connections.models import Connection
from connections.screen_texts import entity_title
from core import ids
from core.admin_texts import duration, moment, number, plural, relative
from core.leases import MAX_CLAIMS_WITHOUT_PROGRESS
from syncs.choices import OPERATION_BADGES, UNFINISHED, OperationKind, OperationStatus, Stage
from syncs.models import Operation

__all__ = [
    "HEAVY", "ORIGINS", "SHOWN", "Standing", "earlier_ones", "latest_operations", "operation_facts", "operation_row",
    "operation_rows", "outcome_text", "standing", "title_of", "took_text", "who_text",
]  # fmt: skip

LABELS = dict(OperationStatus.choices)
SHOWN = 10
# What no list shows.
HEAVY = ("request", "values", "calls", "before", "diff", "job", "candidates")
ORIGINS = {"api": "API", "admin": "Admin", "command": "Command"}
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


def title_of(operation: Operation) -> str:
    """ "Create purchase order", "Approve (purchase order)"."""
    entity = entity_title(operation.entity).lower()
    if operation.kind == OperationKind.ACTION:
        return f"{operation.action.replace('_', ' ').capitalize()} ({entity})"
    return f"{operation.get_kind_display()} {entity}"


# --- how it stands ----------------------------------------------------------------------------------------------------


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


def was_retried(operation: Operation) -> bool:
    """Whether the person named on the row had it tried again, rather than decided how it ended."""
    at, sent = operation.resolved_at, operation.first_sent_at
    return at is not None and (sent is None or sent >= at)


# --- rows of tables ---------------------------------------------------------------------------------------------------


def operation_rows(operations: Sequence[Operation]) -> list[dict[str, Any]]:
    """Operations as `syncs/operation_table.html` shows them."""
    behind = earlier_ones(operations)
    return [operation_row(row, behind.get(row.pk)) for row in operations]


def latest_operations(connection: Connection) -> dict[str, Any]:
    """A connection's latest, and how many there were by status in the last day: both from one index."""
    rows = Operation.objects.filter(connection=connection)
    counts = dict(
        rows.filter(created_at__gte=timezone.now() - timedelta(days=1))
        .order_by()
        .values_list("status")
        .annotate(Count("pk"))
    )
    shown = rows.select_related("connection").defer(*HEAVY).order_by("-created_at")[:SHOWN]
    return {
        "operations": operation_rows(shown),
        "operation_counts": [
            {"text": f"{number(counts[status])} {LABELS[status].lower()}", "colour": OPERATION_BADGES[status]}
            for status in OperationStatus
            if counts.get(status)
        ],
        "operations_address": f"{reverse('admin:syncs_operation_changelist')}?connection={connection.pk}",
    }


def operation_row(operation: Operation, behind: UUID | None = None) -> dict[str, Any]:
    return {
        "address": reverse("admin:syncs_operation_change", args=[operation.pk]),
        "title": title_of(operation),
        "remote_id": operation.remote_id,
        "at": operation.created_at,
        "label": LABELS[OperationStatus(operation.status)],
        "colour": OPERATION_BADGES[OperationStatus(operation.status)],
        "who": who_text(operation),
        "took": took_text(operation),
        "outcome": outcome_text(operation, behind),
        "failed": operation.status == OperationStatus.FAILED,
    }


def outcome_text(operation: Operation, behind: UUID | None = None) -> str:
    """The error of what failed; of everything else how it stands."""
    if operation.status == OperationStatus.FAILED and operation.error:
        return str(operation.error["message"])
    return standing(operation, behind).text


def who_text(operation: Operation) -> str:
    origin = ORIGINS.get(operation.origin, operation.origin)
    return f"{operation.requested_by} ({origin})" if operation.requested_by else origin


def took_text(operation: Operation) -> str:
    """From the wish, or from when it was tried again, to the outcome; of what goes on, until now."""
    began = operation.resolved_at if was_retried(operation) and operation.resolved_at else operation.created_at
    end = operation.done_at or timezone.now()
    return duration(max((end - began).total_seconds(), 0))


# --- the page of one --------------------------------------------------------------------------------------------------


def operation_facts(operation: Operation) -> list[tuple[str, Any]]:
    """(label, value) of times, tries and who."""
    facts: list[tuple[str, Any]] = [
        ("Asked for by", who_text(operation)),
        ("Created", moment(operation.created_at)),
        ("First sent", moment(operation.first_sent_at, empty="not sent")),
    ]
    if operation.attempts > 1:
        facts.append(("Last sent", moment(operation.sent_at)))
    ended = operation.done_at is not None
    facts += [
        ("Ended", moment(operation.done_at, empty="not yet")),
        ("Took" if ended else "Took so far", took_text(operation)),
        ("Requests begun", number(operation.attempts)),
    ]
    facts += _waiting_facts(operation)
    if operation.resolved_at is not None:
        who = operation.resolved_by or "a person"
        facts.append(("Tried again by" if was_retried(operation) else "Decided by", _who_and_when(who, operation)))
    if operation.expected_version is not None:
        facts.append(("If-Match version", operation.expected_version))
    if operation.mark:
        facts.append(("Found again by", format_html("<code>{}</code>", operation.mark)))
    if operation.idempotency_key:
        facts.append(("Idempotency key", format_html("<code>{}</code>", operation.idempotency_key)))
    return [*facts, ("Id", ids.show(Operation.PREFIX, operation.pk))]


def _waiting_facts(operation: Operation) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = []
    unfinished, stage = operation.status in UNFINISHED, operation.stage
    if operation.lookups:
        facts.append(("Asked for its job" if stage == Stage.ACCEPTED else "Looked up", f"{operation.lookups} ×"))
    if unfinished and operation.troubles:
        facts.append(("Troubles in a row", number(operation.troubles)))
    if unfinished and stage == Stage.ACCEPTED and operation.job_deadline_at:
        facts.append(("Its job must end", moment(operation.job_deadline_at)))
    if unfinished and stage in (Stage.PLANNED, Stage.SENDING) and operation.give_up_at:
        facts.append(("Nothing new is sent after", moment(operation.give_up_at)))
    return facts


def _who_and_when(who: str, operation: Operation) -> SafeString:
    return format_html(
        '{}<small class="lsh-subtle"> {}</small>', who, relative(operation.resolved_at or timezone.now())
    )
