"""Sync status, derived from rows and leases each time it is asked for: it cannot be stuck, and it cannot lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from connections.choices import ConnectionStatus
from connections.models import Connection
from syncs.choices import ACTIVE, Mode, RunStatus, SyncState
from syncs.engine.outcomes import counts, now
from syncs.models import Sync, SyncRun

ORDER = list(SyncState)


@dataclass(frozen=True)
class EntitySyncStatus:
    """One entity of a connection."""

    entity: str
    sync_id: UUID
    status: str
    last_successful_sync_at: datetime | None
    next_scheduled_sync_at: datetime | None
    is_initial_sync: bool
    phase: str | None
    progress: dict[str, int | None] | None
    counts: dict[str, int] | None
    data_as_of: datetime | None
    stale: bool
    error: dict[str, Any] | None
    run_id: UUID | None


@dataclass(frozen=True)
class ConnectionSyncStatus:
    """All shared entities of a connection, and the first state that applies to any of them."""

    connection_id: UUID
    connection_name: str
    system: str
    connection_status: str
    status: str
    last_successful_sync_at: datetime | None
    next_scheduled_sync_at: datetime | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    entities: list[EntitySyncStatus] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sync_status(connections: Sequence[Connection]) -> list[ConnectionSyncStatus]:
    """The status of each connection, in three queries however many there are."""
    syncs = defaultdict(list)
    sharing = {connection.pk: connection for connection in connections}
    for sync in Sync.objects.filter(connection__in=connections, enabled=True, unavailable="").order_by(
        "connection_id", "entity"
    ):
        if sharing[sync.connection_id].shares(sync.entity):
            syncs[sync.connection_id].append(sync)
    runs = _telling_runs([sync.pk for every in syncs.values() for sync in every])
    at = now()
    return [_of_connection(connection, syncs[connection.pk], runs, at) for connection in connections]


@dataclass
class _Runs:
    """The runs that tell a sync's state."""

    active: SyncRun | None = None
    latest: SyncRun | None = None  # the latest that ended, cancelled ones aside
    in_review: SyncRun | None = None


def _telling_runs(sync_ids: list[UUID]) -> dict[UUID, _Runs]:
    found: dict[UUID, _Runs] = defaultdict(_Runs)
    current = Q(status__in=ACTIVE) | Q(status=RunStatus.NEEDS_REVIEW)
    for run in SyncRun.objects.filter(current, sync__in=sync_ids).order_by("created_at"):
        if run.status in ACTIVE:
            found[run.sync_id].active = run
        else:
            found[run.sync_id].in_review = run
    latest = (
        SyncRun.objects.filter(sync=OuterRef("pk"))
        .exclude(status__in=(*ACTIVE, RunStatus.CANCELLED))
        .order_by("-created_at")
        .values("pk")[:1]
    )
    ended = Sync.objects.filter(pk__in=sync_ids).annotate(latest=Subquery(latest)).values("latest")
    for run in SyncRun.objects.filter(pk__in=ended):  # one look into the index a sync, however long its history
        found[run.sync_id].latest = run
    return found


def _of_connection(
    connection: Connection, syncs: list[Sync], runs: dict[UUID, _Runs], at: datetime
) -> ConnectionSyncStatus:
    entities = [_of_entity(connection, sync, runs[sync.pk], at) for sync in syncs]
    successes = [entity.last_successful_sync_at for entity in entities]
    errors = [{"entity": entity.entity, **entity.error} for entity in entities if entity.error]
    if connection.error and connection.error.get("code") not in [error.get("code") for error in errors]:
        errors.append({"entity": None, **connection.error})
    return ConnectionSyncStatus(
        connection_id=connection.pk,
        connection_name=connection.name,
        system=connection.system,
        connection_status=connection.status,
        status=_first([entity.status for entity in entities], connection),
        last_successful_sync_at=min(s for s in successes if s) if successes and all(successes) else None,
        next_scheduled_sync_at=_earliest(entity.next_scheduled_sync_at for entity in entities),
        errors=errors,
        entities=entities,
    )


def _first(states: list[str], connection: Connection) -> str:
    """The first state in the fixed order that any entity has; a connection is `paused` only when all of it is."""
    if connection.paused or connection.health == ConnectionStatus.DISCONNECTED:
        return SyncState.PAUSED.value
    if connection.health == ConnectionStatus.NEEDS_REAUTH:
        return SyncState.NEEDS_REAUTH.value
    running = [state for state in states if state != SyncState.PAUSED]
    if states and not running:
        return SyncState.PAUSED.value
    return min(running, key=lambda state: ORDER.index(SyncState(state)), default=SyncState.NEVER_SYNCED.value)


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time), default=None)


def _of_entity(connection: Connection, sync: Sync, runs: _Runs, at: datetime) -> EntitySyncStatus:
    state = _state(connection, sync, runs)
    run = runs.active
    halted = state in (SyncState.PAUSED, SyncState.NEEDS_REAUTH)
    return EntitySyncStatus(
        entity=sync.entity,
        sync_id=sync.pk,
        status=state.value,
        last_successful_sync_at=sync.last_success_at,
        next_scheduled_sync_at=None if halted else sync.next_run_at,
        is_initial_sync=bool(run and run.mode == Mode.INITIAL),
        phase=run.phase or None if run else None,
        progress={"done": run.read_count, "total": run.total} if run else None,
        counts=counts(run or runs.latest) if (run or runs.latest) else None,  # type: ignore[arg-type]
        data_as_of=sync.data_as_of,
        stale=_is_stale(sync, at),
        error=_error(state, runs),
        run_id=run.pk if run else runs.latest.pk if runs.latest else None,
    )


def _state(connection: Connection, sync: Sync, runs: _Runs) -> SyncState:
    if sync.paused or connection.paused or connection.health == ConnectionStatus.DISCONNECTED:
        return SyncState.PAUSED
    if connection.health == ConnectionStatus.NEEDS_REAUTH:
        return SyncState.NEEDS_REAUTH
    if runs.active is not None:
        return SyncState.IN_PROGRESS
    if runs.latest is not None and runs.latest.status == RunStatus.FAILED:
        return SyncState.FAILED
    if runs.in_review is not None:
        return SyncState.NEEDS_REVIEW
    return SyncState.COMPLETED if sync.last_success_at else SyncState.NEVER_SYNCED


def _is_stale(sync: Sync, at: datetime) -> bool:
    """Older than two intervals. What was never read is not stale: it is not there."""
    return sync.data_as_of is not None and at - sync.data_as_of > timedelta(seconds=2 * sync.interval_seconds)


def _error(state: SyncState, runs: _Runs) -> dict[str, Any] | None:
    """What went wrong and still matters; also while a run is in progress."""
    for run in (runs.active, runs.in_review, runs.latest):
        if run is not None and run.error:
            return dict(run.error)
    return None
