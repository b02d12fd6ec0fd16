"""Reading the audit log: what to find, page by page, and as an export that holds one page in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from core import ids
from core.json import dumps
from workspaces.models import ApiToken, AuditEvent, Workspace

FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
"""Format of an export -> its media type."""
PAGE_ROWS = 1000
COLUMNS = (
    "id", "at", "workspace", "actor_kind", "actor", "token", "action", "object_type", "object", "outcome", "address",
    "request_id", "details",
)  # fmt: skip
# A spreadsheet would take a text that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Wanted:
    """What to find; None does not matter. `action` may end with .* for all of an object's; from `since` to just before `until`."""

    action: str | None = None
    object_id: str | None = None
    actor: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def select(rows: QuerySet[AuditEvent], wanted: Wanted) -> QuerySet[AuditEvent]:
    """The rows that are wanted, in no order."""
    token_id = ids.read(ApiToken.PREFIX, wanted.actor) if wanted.actor else None
    action = wanted.action or ""
    filters: dict[str, Any] = {
        "action__startswith": action[:-1] if action.endswith(".*") else None,
        "action": None if action.endswith(".*") else wanted.action,
        "object_id": wanted.object_id,
        "token_id": token_id,
        "actor": None if token_id else wanted.actor,
        "outcome": wanted.outcome,
        "at__gte": wanted.since,
        "at__lt": wanted.until,
    }
    return rows.filter(**{name: value for name, value in filters.items() if value is not None})


def audit_body(event: AuditEvent) -> dict[str, Any]:
    """An event as API, commands and exports show it."""
    return {
        "id": ids.show(AuditEvent.PREFIX, event.id),
        "at": event.at,
        "workspace": ids.show(Workspace.PREFIX, event.workspace_id),
        "actor_kind": event.actor_kind,
        "actor": event.actor,
        "token": ids.show(ApiToken.PREFIX, event.token_id),
        "action": event.action,
        "object_type": event.object_type or None,
        "object": event.object_id or None,
        "outcome": event.outcome,
        "address": event.address,
        "request_id": event.request_id or None,
        "details": event.details,
    }


def export(rows: QuerySet[AuditEvent], form: str) -> Iterator[str]:
    """The rows as text, oldest first, a page at a time: `jsonl`, one object a line, or `csv` with a line of names.

    `rows` must come from within a scope; it may be read after that has ended.
    """
    write: Callable[[Mapping[str, Any]], str] = _csv_line if form == "csv" else _json_line
    if form == "csv":
        yield _row(COLUMNS)
    for page in _pages(rows):
        yield "".join(write(audit_body(event)) for event in page)


def export_response(rows: QuerySet[AuditEvent], form: str) -> StreamingHttpResponse:
    """The rows as a file that the caller's program or browser stores."""
    headers = {"Content-Disposition": f'attachment; filename="audit-events.{form}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(export(rows, form), content_type=FORMATS[form], headers=headers)


def _pages(rows: QuerySet[AuditEvent]) -> Iterator[list[AuditEvent]]:
    """By keyset: no transaction stays open while somebody reads slowly."""
    rows = rows.select_related(None).order_by("pk")
    last: UUID | None = None
    while True:
        page = list((rows if last is None else rows.filter(pk__gt=last))[:PAGE_ROWS])
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        last = page[-1].pk


def _json_line(body: Mapping[str, Any]) -> str:
    return dumps(body) + "\n"


def _csv_line(body: Mapping[str, Any]) -> str:
    values = {**body, "at": body["at"].isoformat(), "details": dumps(body["details"])}
    return _row([_harmless(values[name]) for name in COLUMNS])


def _harmless(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(values: Any) -> str:
    line = StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
