"""Events: written with their cause, numbered in commit order, read as a feed.

`emit` inserts a row in the caller's transaction. A deferred trigger (migration `events_are_numbered_at_commit`) gives
it its position as the transaction's last act, so no position is ever missing, doubled or out of commit order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from core import ids
from workspaces.choices import EventType
from workspaces.models import Event, Workspace

IDS_PER_EVENT = 100
_INSERT = """INSERT INTO workspaces_event (id, workspace_id, connection_id, environment, type, body, created_at)
SELECT %s, %s, %s, %s, %s, %s || to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || %s, now
FROM (SELECT clock_timestamp() AS now) AS clock"""


def emit(
    type: EventType,
    *,
    workspace_id: UUID,
    environment: str,
    connection_id: UUID | None = None,
    reason: str | None = None,
    origin_run: str | None = None,
    data: Mapping[str, Any],
) -> UUID:
    """Record an event in the current transaction (which must be open: an event without its cause would be a lie).

    `connection_id` is the connection's UUID, `origin_run` the shown id of the run that caused it.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("emit() needs the transaction of its cause.")
    event_id = ids.new_id()
    head = {"id": ids.show(Event.PREFIX, event_id), "type": type.value}
    rest = {
        "workspace": ids.show(Workspace.PREFIX, workspace_id),
        "connection": ids.show("con", connection_id),
        "position": None,  # put in by the trigger
        "reason": reason,
        "origin_run": origin_run,
        "data": data,
    }
    before = orjson.dumps(head)[:-1].decode() + ',"timestamp":"'
    after = '",' + orjson.dumps(rest)[1:].decode()
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [event_id, workspace_id, connection_id, environment, type.value, before, after])
    return event_id


def emit_records(type: EventType, record_ids: Iterable[str], *, entity: str, **common: Any) -> None:
    """One event for each hundred records. `record_ids` are shown ids; `common` as for `emit`."""
    every = list(record_ids)
    for start in range(0, len(every), IDS_PER_EVENT):
        emit(type, data={"entity": entity, "ids": every[start : start + IDS_PER_EVENT]}, **common)
