"""What a run asks for, fixed once at its start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from connections.services import effective_mapping
from core.leases import Lease
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Window
from syncs.choices import Mode, Phase
from syncs.models import Sync, SyncRun


@dataclass(frozen=True)
class Opened:
    """A run ready to walk."""

    run: SyncRun
    window: Window | None  # None: nothing is asked upstream (re-map)


def open_window(lease: Lease, run: SyncRun, connector: Connector, resource: Resource) -> Opened:
    """Fix bounds and mapping at the first claim; later claims find them in the row.

    Upper bound: the remote's clock now. Lower bound: the cursor less the overlap, which is never stored.
    """
    if run.started_at is None:
        mapping = effective_mapping(run.connection, run.sync.entity)
        changes: dict[str, Any] = {"default_mapping": mapping.default, "override_mapping": mapping.override}
        if run.mode != Mode.REMAP:
            changes |= _bounds(run, connector, resource)
        with transaction.atomic():
            lease.lock()
            SyncRun.objects.filter(pk=run.pk).update(
                started_at=Coalesce("started_at", Now()), phase=Phase.FETCHING, **changes
            )
            complete = run.mode in (Mode.INITIAL, Mode.FULL)
            if run.sync.history_from is None and complete and changes["window_since"] is not None:
                Sync.objects.filter(pk=run.sync_id).update(history_from=changes["window_since"])
        run = SyncRun.objects.select_related("sync", "connection").get(pk=run.pk)
    return Opened(run, _window(run, resource))


def _bounds(run: SyncRun, connector: Connector, resource: Resource) -> dict[str, Any]:
    until = connector.now()
    return {"window_since": _lower_bound(run, resource, until), "window_until": until}


def _lower_bound(run: SyncRun, resource: Resource, until: Any) -> Any:
    sync = run.sync
    if resource.changes is None:
        return None  # the system cannot tell what changed: every walk is complete
    if run.mode == Mode.INCREMENTAL:
        known = sync.cursor or sync.data_as_of  # a walk that showed nothing left no cursor
        bounds = [known - resource.changes.overlap if known else None, sync.history_from]
        return max((bound for bound in bounds if bound is not None), default=None)
    if sync.history_from is not None:
        return sync.history_from
    if sync.history_days is not None and resource.spec.document:
        return until - timedelta(days=sync.history_days)
    return None


def _window(run: SyncRun, resource: Resource) -> Window | None:
    if run.mode == Mode.REMAP or run.window_until is None:
        return None
    complete = run.mode in (Mode.INITIAL, Mode.FULL)
    return Window(
        since=run.window_since,
        until=run.window_until,
        open_too=complete and run.window_since is not None and bool(resource.open_values),
        by_id=complete,
    )
