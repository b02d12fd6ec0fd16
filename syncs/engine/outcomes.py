"""How a run moves on: to the next page, to waiting, to its end. Each is one transaction under the run's lease."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from connections.services import error_json
from core import hints, ids
from core.errors import Category, ConflictError, LineshaftError
from core.leases import Lease
from syncs.choices import Mode, Review, RunStatus
from syncs.models import RunPage, Suspect, Sync, SyncRun
from workspaces.choices import EventType
from workspaces.events import emit

JITTER = 0.05
MAX_FAILURE_WAIT_SECONDS = 6 * 3600
TASK = "syncs.execute_run"
DISCONNECTED = "CONNECTION_DISCONNECTED"
_STOPPED = "The connection was disconnected: the run was stopped and wrote nothing more. Reconnect it to go on."
UNAVAILABLE_SECONDS = 86_400.0  # it is looked for once a day: the customer may install it
FINISHED_FIELDS = [
    "cursor",
    "data_as_of",
    "default_mapping",
    "override_mapping",
    "next_full_at",
    "last_full_run_id",
    "last_success_at",
    "initial_completed_at",
    "failures_in_row",
    "failed_at",
    "unavailable",
    "next_run_at",
]


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: RunStatus
    error: dict[str, Any] | None = None
    complete_walk: bool = False  # every object was seen: the copy is as of the window


def now() -> datetime:
    """The database's clock."""
    with database.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


def jittered(seconds: float) -> float:
    """Spread, so that a thousand syncs made at once do not run at once for ever."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)


def wait(lease: Lease, seconds: float, *, error: dict[str, Any] | None = None, attempts: int | None = None) -> None:
    """Give the worker back until `seconds` from now. Waiting is no failed claim."""
    with transaction.atomic():
        (cancelled,) = lease.lock(returning="cancel_requested")
        changes: dict[str, Any] = {
            "status": RunStatus.WAITING,
            "due_at": now() + timedelta(seconds=0 if cancelled else seconds),
            "lease_until": None,
            "claims_without_progress": Greatest(F("claims_without_progress") - 1, 0),
        }
        if error is not None:
            changes["error"] = error
        if attempts is not None:
            changes["attempts"] = attempts
        SyncRun.objects.filter(pk=lease.pk).update(**changes)


def requeue(lease: Lease) -> None:
    """Give others their turn and go on at once."""
    with transaction.atomic():
        lease.lock()
        SyncRun.objects.filter(pk=lease.pk).update(
            status=RunStatus.QUEUED, due_at=Now(), lease_until=None, hinted_at=Now()
        )
        hints.hint(TASK, lease.pk, queue="sync")


def finish(lease: Lease, ending: Ending) -> None:
    """End the run and plan the sync's next one: status, cursor, due times and event in one transaction."""
    with transaction.atomic():
        lease.lock()
        run = SyncRun.objects.select_related("connection").get(pk=lease.pk)
        sync = Sync.objects.select_for_update(no_key=True).get(pk=run.sync_id)
        at = now()
        run.status, run.finished_at, run.lease_until, run.error = ending.status, at, None, ending.error
        run.phase, run.position = "", None
        run.save(update_fields=["status", "finished_at", "lease_until", "error", "phase", "position"])
        RunPage.objects.filter(run=run).delete()
        first = _update_sync(sync, run, ending, at)
        _tell(run, sync, ending)
        if first:
            _tell_if_all_synced(run)


def _update_sync(sync: Sync, run: SyncRun, ending: Ending, at: datetime) -> bool:
    """Cursor, freshness and due times; answers whether this sync is waited for no longer: its first success, or no offer."""
    good = ending.status in (RunStatus.COMPLETED, RunStatus.NEEDS_REVIEW)
    first = False
    if good and run.mode != Mode.REMAP:
        if run.newest is not None and run.window_until is not None:
            seen = min(run.newest, run.window_until)
            sync.cursor = max(sync.cursor, seen) if sync.cursor else seen
        sync.data_as_of = run.window_until
    if good and run.mode != Mode.INCREMENTAL:
        sync.default_mapping_id, sync.override_mapping_id = run.default_mapping_id, run.override_mapping_id
    if good and ending.complete_walk:
        sync.next_full_at = at + timedelta(seconds=jittered(sync.full_interval_seconds))
        if run.mode == Mode.FULL:
            sync.last_full_run_id = run.pk
            _supersede_reviews(run)
    if ending.status == RunStatus.COMPLETED:
        first = run.mode == Mode.INITIAL and sync.initial_completed_at is None
        sync.last_success_at = at
        sync.initial_completed_at = sync.initial_completed_at or (at if run.mode != Mode.REMAP else None)
    sync.failures_in_row = 0 if good else sync.failures_in_row + (ending.status == RunStatus.FAILED)
    if ending.status == RunStatus.FAILED:
        if run.mode == Mode.FULL:  # incremental runs have their turn before it is tried again
            sync.next_full_at = at + timedelta(seconds=min(sync.full_interval_seconds, 4 * _pause_seconds(sync, False)))
        sync.failed_at = at
        # One that turns out not to be on offer is waited for no longer, like one that was synced.
        first = sync.initial_completed_at is None and not sync.unavailable and bool(_unavailable(ending))
        sync.unavailable = _unavailable(ending)
    elif good:
        sync.unavailable = ""
    pause = UNAVAILABLE_SECONDS if sync.unavailable else _pause_seconds(sync, good)
    planned = at + timedelta(seconds=pause)
    if good and sync.next_full_at is not None:
        planned = min(planned, max(sync.next_full_at, at))
    # After a disconnect it is due as soon as there is a connection again.
    is_over = (ending.error or {}).get("code") == DISCONNECTED
    sync.next_run_at = at if sync.requested_mode or is_over else planned
    sync.save(update_fields=FINISHED_FIELDS)
    return first


def _unavailable(ending: Ending) -> str:
    """Why this instance does not offer the entity at all (a module that is not installed), if that is what failed."""
    error = ending.error or {}
    return str(error["message"])[:300] if error.get("category") == Category.NOT_SUPPORTED else ""


def _pause_seconds(sync: Sync, good: bool) -> float:
    """The interval; after failures in a row growing up to six hours."""
    if good or sync.failures_in_row == 0:
        return jittered(sync.interval_seconds)
    grown = sync.interval_seconds * 2 ** min(sync.failures_in_row - 1, 10)
    return jittered(min(grown, max(MAX_FAILURE_WAIT_SECONDS, sync.interval_seconds)))


def _supersede_reviews(run: SyncRun) -> None:
    """A later complete walk judged everything anew: older held deletions are history."""
    older = SyncRun.objects.filter(sync_id=run.sync_id, status=RunStatus.NEEDS_REVIEW).exclude(pk=run.pk)
    held = list(older.order_by("pk").select_for_update().values_list("pk", flat=True))
    Suspect.objects.filter(run__in=held).delete()
    SyncRun.objects.filter(pk__in=held).update(
        status=RunStatus.COMPLETED, review=Review.SUPERSEDED, reviewed_at=Now(), error=None
    )


def counts(run: SyncRun) -> dict[str, int]:
    """What the run did so far."""
    return {
        "read": run.read_count,
        "created": run.created_count,
        "updated": run.updated_count,
        "deleted": run.deleted_count,
        "unchanged": run.unchanged_count,
        "quarantined": run.quarantined_count,
    }


_EVENTS = {
    RunStatus.COMPLETED: EventType.SYNC_COMPLETED,
    RunStatus.FAILED: EventType.SYNC_FAILED,
    RunStatus.NEEDS_REVIEW: EventType.SYNC_NEEDS_REVIEW,
}


def origin(run: SyncRun) -> dict[str, Any]:
    """What every event of a run carries."""
    return {
        "workspace_id": run.workspace_id,
        "environment": run.connection.environment,
        "connection_id": run.connection_id,
        "reason": run.mode,
        "origin_run": ids.show(SyncRun.PREFIX, run.pk),
    }


def _tell(run: SyncRun, sync: Sync, ending: Ending) -> None:
    type_ = _EVENTS.get(ending.status)
    if type_ is None:
        return
    data = {
        "sync": ids.show(Sync.PREFIX, sync.pk),
        "run": ids.show(SyncRun.PREFIX, run.pk),
        "entity": sync.entity,
        "mode": run.mode,
        "counts": counts(run),
        "error": ending.error,
    }
    emit(type_, data=data, **origin(run))


def _tell_if_all_synced(run: SyncRun) -> None:
    """Once, when the last entity of a connection had its first success. Two finishing at once take turns here."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"initial:{run.connection_id}"])
    open_ones = Sync.objects.filter(connection_id=run.connection_id, initial_completed_at=None, unavailable="").shared()
    synced = Sync.objects.filter(connection_id=run.connection_id, initial_completed_at__isnull=False)
    if not open_ones.exists() and synced.exists():
        emit(EventType.INITIAL_SYNC_COMPLETED, data={}, **origin(run))


def retry_seconds(attempts: int) -> float | None:
    """How long to wait after the given number of transient failures in a row; None when the run gives up."""
    schedule = settings.SYNC_RETRY_SECONDS
    return jittered(schedule[attempts - 1]) if attempts <= len(schedule) else None


def failed(error: LineshaftError) -> Ending:
    """The ending for an error."""
    return Ending(RunStatus.FAILED, error=error_json(error))


def disconnected() -> Ending:
    """The ending of a run whose connection was disconnected."""
    return Ending(RunStatus.CANCELLED, error=error_json(ConflictError(_STOPPED, code=DISCONNECTED)))


def count_attempt(pk: UUID) -> int:
    """Transient failures in a row of this run, with this one."""
    return int(SyncRun.objects.filter(pk=pk).values_list(F("attempts") + 1, flat=True).get())
