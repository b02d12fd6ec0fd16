"""Waking runs that wait: for events of their feed, and for operations that have ended.

A run that begins to wait for an event has looked at the feed up to a position, and holds the feed's cursor while it
stores that, after it has seen the cursor not beyond. The cursor moves here, under its lock, with the runs it wakes: so
an event is either seen by the run or wakes it. One that is woken for nothing looks, and waits again. Whoever else holds
such a run is waited for: one who was refused leaves it waiting, and this is the only time that the event is looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from flows.definitions.event_types import EVERY_CUSTOM

__all__ = ["wake_behind_events", "wake_behind_operations", "wake_next_feed"]

POSITIONS_AT_ONCE = 5_000

_BEHIND = """SELECT c.id, c.workspace_id, c.environment, c.position, d.position
FROM flows_waitcursor c JOIN workspaces_feed d
    ON d.workspace_id = c.workspace_id AND d.environment = c.environment AND d.position > c.position
ORDER BY c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED"""
_SOMEBODY_WAITS = """SELECT EXISTS (SELECT FROM flows_flowrun
WHERE workspace_id = %s AND environment = %s AND status = 'waiting' AND waits_for = 'event')"""
_TYPES = """SELECT DISTINCT type FROM workspaces_event
WHERE workspace_id = %s AND environment = %s AND position > %s AND position <= %s"""
_WAKE = """UPDATE flows_flowrun SET due_at = clock_timestamp() WHERE id IN (
    SELECT id FROM flows_flowrun
    WHERE workspace_id = %s AND environment = %s AND status = 'waiting' AND waits_for = 'event'
        AND wait_types && %s::varchar[] ORDER BY id FOR UPDATE)"""
_MOVE = "UPDATE flows_waitcursor SET position = %s WHERE id = %s"

# An operation that was forgotten has ended too: the run finds out what it needs.
_WAKE_BEHIND_OPERATIONS = """UPDATE flows_flowrun SET due_at = clock_timestamp() WHERE id IN (
    SELECT r.id FROM flows_flowrun r LEFT JOIN syncs_operation o ON o.id = r.wait_operation_id
    WHERE r.waits_for = 'operation' AND r.status = 'waiting' AND r.wait_operation_id IS NOT NULL
        AND r.due_at > clock_timestamp() AND (o.id IS NULL OR o.status IN ('succeeded', 'failed'))
    LIMIT %s FOR UPDATE OF r SKIP LOCKED)"""


@dataclass(frozen=True)
class _Behind:
    """A locked cursor that is behind its feed."""

    id: int
    workspace_id: UUID
    environment: str
    position: int
    end: int

    @property
    def feed(self) -> list[Any]:
        return [self.workspace_id, self.environment]


def wake_behind_events(*, seconds: float = 1.0) -> int:
    """Look at the new events of every feed, for so long. Answers how many runs were woken."""
    until, woken = time.monotonic() + seconds, 0
    while (count := wake_next_feed()) is not None:
        woken += count
        if time.monotonic() > until:
            break
    return woken


@transaction.atomic
def wake_next_feed() -> int | None:
    """Wake the runs that the next events of one feed may be for. None when no free cursor is behind."""
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND)
        row = cursor.fetchone()
        if row is None:
            return None
        behind = _Behind(*row)
        cursor.execute(_SOMEBODY_WAITS, behind.feed)
        if not cursor.fetchone()[0]:
            cursor.execute(_MOVE, [behind.end, behind.id])
            return 0
        upto = min(behind.end, behind.position + POSITIONS_AT_ONCE)
        cursor.execute(_TYPES, [*behind.feed, behind.position, upto])
        types = [row[0] for row in cursor.fetchall()]
        own = [EVERY_CUSTOM] if any(type.startswith(EVERY_CUSTOM.removesuffix("*")) for type in types) else []
        cursor.execute(_WAKE, [*behind.feed, [*types, *own]])
        woken = cursor.rowcount
        cursor.execute(_MOVE, [upto, behind.id])
    return int(woken)


def wake_behind_operations(limit: int = 500) -> int:
    """Make runs due whose operation has ended. Answers how many."""
    with connection.cursor() as cursor:
        cursor.execute(_WAKE_BEHIND_OPERATIONS, [limit])
        return int(cursor.rowcount)
