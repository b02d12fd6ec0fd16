"""An operation as lists and its own page show it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
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
from core.admin_texts import duration, moment, number, relative
from syncs.admin.operation_standing import earlier_ones, standing
from syncs.choices import OPERATION_BADGES, UNFINISHED, OperationKind, OperationStatus, Stage
from syncs.models import Operation

__all__ = [
    "HEAVY", "ORIGINS", "SHOWN", "latest_operations", "operation_facts", "operation_row", "operation_rows",
    "outcome_text", "title_of", "took_text", "who_text",
]  # fmt: skip

LABELS = dict(OperationStatus.choices)
SHOWN = 10
# What no list shows.
HEAVY = ("request", "values", "calls", "before", "diff", "job", "candidates")
ORIGINS = {"api": "API", "admin": "Admin", "command": "Command"}


def title_of(operation: Operation) -> str:
    """ "Create purchase order", "Approve (purchase order)"."""
    entity = entity_title(operation.entity).lower()
    if operation.kind == OperationKind.ACTION:
        return f"{operation.action.replace('_', ' ').capitalize()} ({entity})"
    return f"{operation.get_kind_display()} {entity}"


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
