"""The admin's home: how the syncs of all of a person's connections stand, worst first, and whether work moves at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import BooleanField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import ExpressionWrapper
from django.db.models.fields import DateTimeField
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse

from connections.choices import CONNECTION_BADGES, MAY_SYNC, ConnectionStatus
from connections.models import Connection
from connections.screen_texts import entity_title
from console.acting import who_must_act
from console.strips import Strip, strips_of
from console.trends import trends
from core.admin import may
from core.admin_texts import duration
from core.health import MAX_TICK_SECONDS
from core.leases import oldest_due_seconds
from core.models import TickBeat
from flows.models import FlowRun
from integrations.registry import catalogue
from syncs.choices import STATE_BADGES, OperationStatus, SyncState
from syncs.engine.outcomes import now
from syncs.models import Operation, Sync, SyncRun
from syncs.services import ConnectionSyncStatus, sync_status
from syncs.states import CONNECTION_STATE, as_expression

PER_PAGE = 50
MAX_WAIT_SECONDS = 60
"""A due run or operation waits no longer than this when enough workers run."""
_WORST_FIRST = (SyncState.NEEDS_REAUTH, SyncState.FAILED, SyncState.NEEDS_REVIEW)
_THEN = (SyncState.IN_PROGRESS, SyncState.NEVER_SYNCED, SyncState.COMPLETED, SyncState.PAUSED)
_COUNTED = (*_WORST_FIRST, SyncState.IN_PROGRESS, SyncState.NEVER_SYNCED, SyncState.COMPLETED, SyncState.PAUSED)


@dataclass(frozen=True)
class Halt:
    """Something that must run does not, and what to start."""

    message: str
    command: str


def home_context(request: HttpRequest) -> dict[str, Any]:
    """All that the home page shows. The number of queries does not depend on the number of connections."""
    state = request.GET.get("state", "")
    state = state if state in SyncState.values else ""
    every = _standings()
    counts = Counter(standing.state for standing in every)
    wanted = [standing.pk for standing in every if not state or standing.state == state]
    total = len(wanted)
    found = Paginator(wanted, PER_PAGE).get_page(request.GET.get("page", "1"))
    by_id = Connection.objects.in_bulk(list(found.object_list))
    connections = [by_id[pk] for pk in found.object_list if pk in by_id]
    at = now()
    strips = strips_of([connection.pk for connection in connections], at)
    return {
        "halts": halts(),
        "actors": who_must_act(),
        "trends": trends(at),
        "decisions": Operation.objects.filter(status=OperationStatus.NEEDS_REVIEW).count(),
        "counts": [_count(name, counts) for name in _COUNTED if counts.get(name)],
        "state": state,
        "rows": [
            _row(request, connection, status, strips[connection.pk])
            for connection, status in zip(connections, sync_status(connections), strict=True)
        ],
        "found": found,
        "total": total,
        "here": _address("admin:index", state, found.number),
        "refresh_address": _address("admin:home_status", state, found.number),
        "previous_address": _address("admin:index", state, found.number - 1) if found.has_previous() else "",
        "next_address": _address("admin:index", state, found.number + 1) if found.has_next() else "",
        "may_add": may(request, "connections.add_connection", None),
    }


def halts() -> list[Halt]:
    """What stands still: the tick, or the workers."""
    ages = dict(TickBeat.objects.annotate(age=Now() - F("last_at")).values_list("name", "age"))
    silent = [name for name in settings.TICKS if name not in ages or ages[name].total_seconds() > MAX_TICK_SECONDS]
    found = []
    if silent:
        message = f"{len(silent)} of {len(settings.TICKS)} duties of the tick did not run in {MAX_TICK_SECONDS} s, so no sync is started."
        found.append(Halt(message, "python manage.py tick"))
    for model, what, queue in (
        (SyncRun, "run", "sync"),
        (Operation, "operation", "operations"),
        (FlowRun, "run of a flow", "flows"),
    ):
        waiting = oldest_due_seconds(model)
        if waiting is not None and waiting > MAX_WAIT_SECONDS:
            message = f"A due {what} has waited {duration(waiting)} for a worker."
            found.append(Halt(message, f"python manage.py worker {queue}"))
    return found


class _Standing(NamedTuple):
    """What places a connection on the page."""

    pk: UUID
    name: str
    state: str
    is_troubled: bool
    is_stale: bool

    @property
    def urgency(self) -> int:
        """Problems first, then what moves, then what is well, then what somebody paused."""
        if self.state in _WORST_FIRST:
            return _WORST_FIRST.index(SyncState(self.state))
        if self.state != SyncState.PAUSED and (self.is_troubled or self.is_stale):
            return len(_WORST_FIRST)
        return len(_WORST_FIRST) + 1 + _THEN.index(SyncState(self.state))


def _standings() -> list[_Standing]:
    """Every connection, in the order of the page.

    One pass derives each state once. Sorted by the database, the state was derived for every comparison that its order is
    made of: 105 ms for 1,000 connections, where this takes 30.
    """
    troubled = Q(health__in=[ConnectionStatus.OFFLINE, ConnectionStatus.PENDING]) | Q(error__isnull=False)
    rows = Connection.objects.present().annotate(
        state=as_expression(CONNECTION_STATE),
        is_troubled=ExpressionWrapper(troubled, output_field=BooleanField()),
        is_stale=Exists(_stale_syncs()),
    )
    found = [_Standing(*row) for row in rows.order_by().values_list("pk", "name", "state", "is_troubled", "is_stale")]
    return sorted(found, key=lambda standing: (standing.urgency, standing.name, standing.pk))


def _stale_syncs() -> QuerySet[Any]:
    """Data older than two intervals, as the service calls it stale."""
    two_intervals = ExpressionWrapper(
        F("data_as_of") + F("interval_seconds") * timedelta(seconds=2), output_field=DateTimeField()
    )
    rows: QuerySet[Any] = Sync.objects.filter(connection=OuterRef("pk"), paused=False).shared()
    stale: QuerySet[Any] = rows.alias(fresh_until=two_intervals).filter(fresh_until__lt=Now())
    return stale


def _count(state: str, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "state": state,
        "label": SyncState(state).label,
        "colour": STATE_BADGES[SyncState(state)],
        "count": counts[state],
        "address": _address("admin:index", state, 1),
    }


def _row(request: HttpRequest, connection: Connection, status: ConnectionSyncStatus, strip: Strip) -> dict[str, Any]:
    kind = catalogue().get(connection.system)
    troubles = [{**error, "entity_title": entity_title(error["entity"] or "")} for error in status.errors]
    runs = not connection.paused and connection.health in MAY_SYNC and bool(status.entities)
    return {
        "connection": connection,
        "strip": strip,
        "address": reverse("admin:connections_connection_change", args=[connection.pk]),
        "system": kind.title if kind else connection.system,
        "status": status,
        "label": SyncState(status.status).label,
        "colour": STATE_BADGES[SyncState(status.status)],
        "health": ConnectionStatus(connection.status).label if _is_telling(connection) else "",
        "health_colour": CONNECTION_BADGES[ConnectionStatus(connection.status)],
        "stale": [entity_title(entity.entity) for entity in status.entities if entity.stale],
        "error": troubles[0] if troubles else None,
        "more_errors": len(troubles) - 1,
        "sync_address": reverse("admin:connections_connection_press", args=[connection.pk, "sync_all"])
        if runs and may(request, "syncs.change_sync", connection.workspace_id)
        else "",
    }


def _is_telling(connection: Connection) -> bool:
    """Whether the connection's own status says more than the state of its syncs."""
    return connection.status in (ConnectionStatus.OFFLINE, ConnectionStatus.PENDING)


def _address(name: str, state: str, number: int) -> str:
    query = {key: value for key, value in (("state", state), ("page", number if number > 1 else "")) if value}
    return reverse(name) + (f"?{urlencode(query)}" if query else "")
