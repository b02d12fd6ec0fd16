"""Admission: how many runs of a flow are under way at once. The others wait in the order they came.

A run that was not admitted is never due. Whoever starts a run, and whoever ends one, admits in the same transaction,
under the flow's row lock; the tick does so too, for a place that was left free.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.db import connection, transaction

from flows.definitions.model import Queue
from flows.engine.hinting import run_soon

__all__ = ["NOT_ADMITTED", "admit", "flows_with_queues"]

NOT_ADMITTED = datetime(9999, 1, 1, tzinfo=UTC)
"""When a run is due that waits for a place, or for something else than a time."""

_LOCK = "SELECT version_id FROM flows_flow WHERE id = %s FOR NO KEY UPDATE"
# By the version that is published now, also for runs of earlier ones.
_QUEUE = "SELECT (definition -> 'queue')::text FROM flows_flowversion WHERE id = %s"
_UNDER_WAY = """SELECT count(*) FROM flows_flowrun
WHERE flow_id = %s AND status IN ('queued', 'running', 'waiting') AND admitted_at IS NOT NULL AND NOT is_dry"""
# Rows that somebody holds are passed by: who holds one may want the flow's next.
_ADMIT = """UPDATE flows_flowrun SET admitted_at = at.now, due_at = at.now
FROM (SELECT clock_timestamp() AS now) AS at WHERE id IN (
    SELECT id FROM flows_flowrun WHERE flow_id = %s AND status = 'queued' AND admitted_at IS NULL AND NOT is_dry
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id"""
# Not admitted are those that are due at no time, so that the index leads to them. In no order: none is always last.
_WITH_QUEUES = """SELECT flow_id FROM (SELECT DISTINCT flow_id FROM flows_flowrun
    WHERE due_at >= %s AND status = 'queued' AND admitted_at IS NULL AND NOT is_dry) waiting
ORDER BY random() LIMIT %s"""


@transaction.atomic
def admit(flow_id: UUID) -> int:
    """Let the oldest queued runs of a flow begin while there are places. Answers how many were let."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [flow_id])
        row = cursor.fetchone()
        if row is None:
            return 0
        cursor.execute(_QUEUE, [row[0]])
        queue = cursor.fetchone()
        places = Queue.model_validate_json((queue and queue[0]) or "{}").at_once
        cursor.execute(_UNDER_WAY, [flow_id])
        free = places - cursor.fetchone()[0]
        if free <= 0:
            return 0
        cursor.execute(_ADMIT, [flow_id, free])
        admitted = [row[0] for row in cursor.fetchall()]
    for run_id in admitted:
        run_soon(run_id)
    return len(admitted)


def flows_with_queues(limit: int) -> list[UUID]:
    """Flows, of all workspaces, of which runs wait for a place."""
    with connection.cursor() as cursor:
        cursor.execute(_WITH_QUEUES, [NOT_ADMITTED, limit])
        return [row[0] for row in cursor.fetchall()]
