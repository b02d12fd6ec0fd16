"""Events: written with their cause, numbered in commit order, read as a feed.

`emit` inserts a row in the caller's transaction. A deferred trigger (migration `events_are_numbered_at_commit`) gives
it its position as the transaction's last act, so no position is ever missing, doubled or out of commit order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from core import ids
from workspaces.choices import EventType
from workspaces.event_catalogue import CATALOGUE, is_event_type
from workspaces.models import Event, Workspace

IDS_PER_EVENT = 100
_ROW = "(%s::uuid, %s::uuid, %s::uuid, %s, %s, %s || clock.text || %s, clock.now)"
_INSERT = """INSERT INTO workspaces_event (id, workspace_id, connection_id, environment, type, body, created_at)
SELECT e.* FROM (SELECT now, to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS text
    FROM (SELECT clock_timestamp() AS now) AS at) AS clock, LATERAL (VALUES {rows}) AS e"""


@dataclass(frozen=True)
class Cause:
    """What every event of one cause shares. `connection_id` is the connection's UUID, `origin_run` a shown id."""

    workspace_id: UUID
    environment: str
    connection_id: UUID | None = None
    reason: str | None = None
    origin_run: str | None = None


def emit(type: EventType, *, data: Mapping[str, Any], **cause: Any) -> UUID:
    """Record an event in the current transaction (which must be open: an event without its cause would be a lie).

    `cause` as in `Cause`. Answers the event's id.
    """
    return _insert(type, [data], Cause(**cause))[0]


def emit_custom(type: str, *, data: Mapping[str, Any], **cause: Any) -> UUID:
    """As `emit`, of what a flow tells of itself: a type of its own, such as `custom.order.late`.

    Errors: ValueError for any other type.
    """
    if type in CATALOGUE or not is_event_type(type):
        raise ValueError(f"{type!r} is no type of an event of a flow.")
    return _insert(type, [data], Cause(**cause))[0]


def emit_records(type: EventType, record_ids: Iterable[str], *, entity: str, **cause: Any) -> None:
    """One event for each hundred records, in one statement. `record_ids` are shown ids; `cause` as in `Cause`."""
    every = list(record_ids)
    pieces = [every[start : start + IDS_PER_EVENT] for start in range(0, len(every), IDS_PER_EVENT)]
    if pieces:
        _insert(type, [{"entity": entity, "ids": piece} for piece in pieces], Cause(**cause))


def _insert(type: str, data: list[Mapping[str, Any]], cause: Cause) -> list[UUID]:
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("emit() needs the transaction of its cause.")
    made, values = [], []
    for item in data:
        made.append(ids.new_id())
        before, after = _body(made[-1], type, item, cause)
        values += [made[-1], cause.workspace_id, cause.connection_id, cause.environment, str(type), before, after]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(rows=", ".join([_ROW] * len(data))), values)
    return made


def _body(event_id: UUID, type: str, data: Mapping[str, Any], cause: Cause) -> tuple[str, str]:
    """The frozen JSON, cut where the database puts its time in."""
    head = {"id": ids.show(Event.PREFIX, event_id), "type": str(type)}
    rest = {
        "workspace": ids.show(Workspace.PREFIX, cause.workspace_id),
        "connection": ids.show("con", cause.connection_id),
        "position": None,  # put in by the trigger
        "reason": cause.reason,
        "origin_run": cause.origin_run,
        "data": data,
    }
    return orjson.dumps(head)[:-1].decode() + ',"timestamp":"', '",' + orjson.dumps(rest)[1:].decode()
