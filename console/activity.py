"""Counting what the feed tells, hour by hour: each event once, whichever tick does it, also after a kill.

The events of a page and the cursor behind them are one transaction under the cursor's lock.
"""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from console.models import COUNTED, ActivityHour

POSITIONS_AT_ONCE = 5_000
KEPT_DAYS = 8
FORGOTTEN_AT_ONCE = 5_000

# Feeds without a cursor begin at what is kept: its events of the last days are counted, older ones are not shown anyway.
_NEW_CURSORS = """INSERT INTO console_activitycursor (workspace_id, environment, position)
SELECT f.workspace_id, f.environment, 0 FROM workspaces_feed f
WHERE f.position > 0 AND NOT EXISTS (SELECT FROM console_activitycursor c
    WHERE c.workspace_id = f.workspace_id AND c.environment = f.environment)
ON CONFLICT DO NOTHING"""
_BEHIND = """SELECT c.id, c.workspace_id, c.environment, c.position, f.position FROM console_activitycursor c
JOIN workspaces_feed f ON f.workspace_id = c.workspace_id AND f.environment = c.environment AND f.position > c.position
WHERE c.id > %s ORDER BY c.id LIMIT 1 FOR NO KEY UPDATE OF c SKIP LOCKED"""
_OLDEST = """SELECT min(position) FROM workspaces_event
WHERE workspace_id = %s AND environment = %s AND position > %s"""
_SUMS = ", ".join(f"sum({name})::int" for name in COUNTED)
_ADDED = ", ".join(f"{name} = h.{name} + excluded.{name}" for name in COUNTED)
_COUNT = f"""WITH told AS (
    SELECT e.connection_id, date_trunc('hour', e.created_at) AS starts_at,
        (e.type IN ('sync.completed', 'sync.failed', 'sync.needs_review'))::int AS runs,
        (e.type = 'sync.failed')::int AS failed_runs,
        (e.type = 'sync.needs_review')::int AS held_runs,
        CASE WHEN e.type LIKE 'record.%%'
            THEN coalesce(jsonb_array_length((e.body::jsonb) #> '{{data,ids}}'), 0) ELSE 0 END AS records_changed,
        (e.type LIKE 'operation.%%')::int AS operations,
        (e.type IN ('operation.failed', 'operation.needs_review'))::int AS failed_operations,
        (e.type IN ('flow.succeeded', 'flow.failed'))::int AS flow_runs,
        (e.type = 'flow.failed')::int AS failed_flow_runs,
        (e.type = 'webhook_delivery.exhausted')::int AS given_up
    FROM workspaces_event e
    WHERE e.workspace_id = %(workspace)s AND e.environment = %(environment)s
        AND e.position > %(after)s AND e.position <= %(upto)s
        AND (e.connection_id IS NULL OR EXISTS (SELECT FROM connections_connection c WHERE c.id = e.connection_id)))
INSERT INTO console_activityhour AS h (workspace_id, environment, connection_id, starts_at, {", ".join(COUNTED)})
SELECT %(workspace)s, %(environment)s, connection_id, starts_at, {_SUMS} FROM told
GROUP BY connection_id, starts_at HAVING {" + ".join(f"sum({name})" for name in COUNTED)} > 0
ON CONFLICT (workspace_id, environment, connection_id, starts_at) DO UPDATE SET {_ADDED}"""  # noqa: S608 (our own text)

STEPS = {"activity_hours": lambda pk: ActivityHour.objects.filter(connection_id=pk)}
"""What goes with a deleted connection, see settings.PURGE_STEPS."""


def count_activity(*, seconds: float = 0.5) -> int:
    """Count for so long, a piece of each feed in turn. Answers how many positions were passed."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_CURSORS)
    until, passed, after = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        step = _count_next(after)
        if step is None and after == 0:
            break
        after, count = step or (0, 0)
        passed += count
    return passed


@transaction.atomic
def _count_next(after: int) -> tuple[int, int] | None:
    """The next piece of the first feed behind cursor `after`; None when there is none. Answers the cursor and how far."""
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, [after])
        row: tuple[int, UUID, str, int, int] | None = cursor.fetchone()
        if row is None:
            return None
        cursor_id, workspace_id, environment, position, end = row
        cursor.execute(_OLDEST, [workspace_id, environment, position])
        oldest = cursor.fetchone()[0]
        upto = end if oldest is None else min(end, oldest - 1 + POSITIONS_AT_ONCE)
        if oldest is not None:
            values = {"workspace": workspace_id, "environment": environment, "after": oldest - 1, "upto": upto}
            cursor.execute(_COUNT, values)
        cursor.execute("UPDATE console_activitycursor SET position = %s WHERE id = %s", [upto, cursor_id])
    return cursor_id, upto - position


def forget_old_hours() -> int:
    """Hours that nobody is shown any more."""
    with scopes_disabled():
        old = ActivityHour.objects.filter(starts_at__lt=Now() - timedelta(days=KEPT_DAYS)).order_by("starts_at")
        found = list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
        return int(ActivityHour.objects.filter(pk__in=found).delete()[0]) if found else 0
