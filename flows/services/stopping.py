"""Runs of connections that were ended: they fail at once, so that nothing goes on by itself.

A worker that is at a run finds out itself, before its next step; here those are ended that wait or are queued.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection
from core import ids
from flows.choices import FlowRunStatus
from flows.engine.ending import end_run
from flows.engine.errors import disconnected, stored_error
from flows.models import FlowRun

__all__ = ["stop_disconnected"]

_OVER = """SELECT r.id FROM flows_flowrun r JOIN flows_flowversion v ON v.id = r.version_id
WHERE r.status IN ('queued', 'waiting') AND r.connection_ids && %(ids)s::uuid[]
    AND (EXISTS (SELECT FROM jsonb_each_text(v.bindings) bound WHERE bound.value = ANY(%(shown)s))
        OR r.input #>> '{event,connection}' = ANY(%(shown)s)
            AND jsonb_path_exists(v.definition, '$.connections.*.of_trigger ? (@ == true)'))
LIMIT %(limit)s"""
_TOUCHED = """SELECT DISTINCT unnest(connection_ids) FROM flows_flowrun WHERE status IN ('queued', 'waiting')"""


def stop_disconnected(limit: int) -> int:
    """End at most `limit` runs that work on a connection that was ended. Answers how many. In no scope.

    One short transaction each; rows that somebody holds are left to the next time. A run that only holds data of such a
    connection, e.g. one that tells of its end, goes on.
    """
    return sum(_stop(run_id) for run_id in _runs_of(_ended(), limit))


def _ended() -> list[UUID]:
    """Connections of unended runs that were ended: mostly none."""
    with database.cursor() as cursor:
        cursor.execute(_TOUCHED)
        touched = [row[0] for row in cursor.fetchall()]
    if not touched:
        return []
    with scopes_disabled():
        rows = Connection.objects.filter(pk__in=touched, health=ConnectionStatus.DISCONNECTED)
        return list(rows.values_list("pk", flat=True))


def _runs_of(ended: list[UUID], limit: int) -> list[UUID]:
    if not ended:
        return []
    shown = [ids.show(Connection.PREFIX, pk) for pk in ended]
    with database.cursor() as cursor:
        cursor.execute(_OVER, {"ids": ended, "shown": shown, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def _stop(run_id: UUID) -> int:
    with scopes_disabled():
        rows = FlowRun.objects.filter(pk=run_id, status__in=(FlowRunStatus.QUEUED, FlowRunStatus.WAITING))
        run = rows.select_for_update(skip_locked=True, of=("self",)).first()
    if run is None:
        return 0
    with scope(workspace=run.workspace_id):
        ended = Connection.objects.filter(pk__in=run.connection_ids, health=ConnectionStatus.DISCONNECTED)
        name = ended.values_list("name", flat=True).first() or ""
        end_run(None, run, FlowRunStatus.FAILED, stored_error(disconnected(name), run.current_step))
    return 1
