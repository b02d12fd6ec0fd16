"""Runs wanted and unwanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from connections.choices import MAY_SYNC, ConnectionStatus
from connections.services import demand_shared
from core import hints, ids
from core.errors import AuthError, ConflictError
from syncs.choices import ACTIVE, MODE_STRENGTH, Mode, RunStatus, Trigger
from syncs.engine.outcomes import TASK
from syncs.models import RunPage, Sync, SyncRun
from workspaces import audit


@dataclass(frozen=True)
class Requested:
    """The run that answers a request. `is_new` False: one was active, and the wish waits for its end."""

    run: SyncRun
    is_new: bool


def request_run(sync: Sync, mode: Mode, *, trigger: Trigger, by: str = "") -> Requested:
    """Start a run now, or note the wish for after the active one (a stronger mode replaces a weaker wish).

    Errors: ConflictError when sync or connection is paused or disconnected; AuthError when it needs re-authorisation.
    """
    with transaction.atomic():
        sync = Sync.objects.select_for_update(of=("self",), no_key=True).select_related("connection").get(pk=sync.pk)
        _refuse_if_halted(sync)
        active = SyncRun.objects.filter(sync=sync).active().first()
        if active is not None:
            if MODE_STRENGTH[mode] > MODE_STRENGTH[sync.requested_mode]:
                sync.requested_mode = mode
                Sync.objects.filter(pk=sync.pk).update(requested_mode=mode, next_run_at=Now())
            _record("run.requested", active, mode=mode)
            return Requested(active, is_new=False)
        wanted = max(mode, sync.requested_mode, key=MODE_STRENGTH.__getitem__)
        run = start_run(sync, fitting_mode(sync, wanted), trigger=trigger, by=by)
        _record("run.requested", run, mode=run.mode)
        return Requested(run, is_new=True)


def _refuse_if_halted(sync: Sync) -> None:
    connection = sync.connection
    demand_shared(connection, sync.entity)
    if connection.health == ConnectionStatus.NEEDS_REAUTH:
        raise AuthError("The customer must sign in again before this connection can sync.", code="NEEDS_REAUTH")
    if sync.paused or connection.paused or not sync.enabled:
        raise ConflictError("This sync is paused or not shared; resume it first.", code="SYNC_PAUSED")
    if connection.health not in MAY_SYNC:
        raise ConflictError(
            f"The connection is {connection.status}; check or reconnect it first.", code="CONNECTION_NOT_ACTIVE"
        )


def fitting_mode(sync: Sync, wanted: str) -> Mode:
    """The first run is always an initial one."""
    return Mode.INITIAL if sync.initial_completed_at is None else Mode(wanted)


def start_run(sync: Sync, mode: Mode, *, trigger: Trigger, by: str = "") -> SyncRun:
    """Queue a run of a locked sync without an active one, and tell a worker after commit."""
    run = SyncRun.objects.create(
        workspace_id=sync.workspace_id,
        connection_id=sync.connection_id,
        sync=sync,
        mode=mode,
        trigger=trigger,
        triggered_by=by,
        hinted_at=Now(),
    )
    sync.requested_mode = ""
    sync.save(update_fields=["requested_mode"])
    hints.hint(TASK, run.pk, queue="sync")
    return run


def cancel_run(run: SyncRun, *, by: str = "") -> SyncRun:
    """Stop a run: at once while it waits, at its next page while it works. Errors: ConflictError when it has ended."""
    with transaction.atomic():
        run = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if run.status not in ACTIVE:
            raise ConflictError(f"The run has ended already: {run.get_status_display()}.", code="RUN_ENDED")
        run.cancel_requested = True
        if run.status != RunStatus.RUNNING:
            run.status, run.lease_until, run.position = RunStatus.CANCELLED, None, None
            SyncRun.objects.filter(pk=run.pk).update(finished_at=Now(), position=None)
            RunPage.objects.filter(run=run).delete()
            _plan_next(run.sync_id)
        run.save(update_fields=["cancel_requested", "status", "lease_until"])
        _record("run.cancelled", run)
    run.refresh_from_db()
    return run


def _record(action: str, run: SyncRun, **details: str) -> None:
    about = ("run", ids.show(SyncRun.PREFIX, run.pk) or "")
    connection = ids.show("con", run.connection_id)
    audit.record(action, workspace_id=run.workspace_id, about=about, details={"connection": connection, **details})


def _plan_next(sync_id: UUID) -> None:
    """The next run is due after an interval: what somebody cancelled must not begin again at once."""
    sync = Sync.objects.select_for_update(no_key=True).get(pk=sync_id)
    pause = timedelta(seconds=0 if sync.requested_mode or sync.paused else sync.interval_seconds)
    Sync.objects.filter(pk=sync_id).update(next_run_at=Now() + pause)
