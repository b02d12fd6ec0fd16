"""How far a published mapping is applied to what is stored."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from connections.models import Connection, Mapping
from connections.services import current_override, ensure_default_mapping
from syncs.choices import ACTIVE, Mode
from syncs.models import Sync, SyncRun


@dataclass(frozen=True)
class RemapProgress:
    """`state`: `none` (nothing is stored yet), `applied`, `due` (a tick starts the run), `running`, `failed` (as the run
    says; nothing is mapped anew before another version is published, the hour is over, or a full run comes).

    `run` is the latest that maps what is stored with the versions in force; `first_sync`: the first one has not ended, and
    applies the mapping by itself.
    """

    state: str
    default: Mapping
    override: Mapping | None
    run: SyncRun | None
    first_sync: bool = False


def remap_progress(connection: Connection, entity: str) -> RemapProgress:
    """Errors: NotSupportedError for an entity the system lacks."""
    default, override = ensure_default_mapping(connection.system, entity), current_override(connection, entity)
    sync = Sync.objects.filter(connection_id=connection.pk, entity=entity).first()
    if sync is None or sync.initial_completed_at is None:
        return RemapProgress("none", default, override, None, first_sync=True)
    fresh = Q(default_mapping=None, status__in=ACTIVE)  # it pins the versions in force when it begins
    these = Q(default_mapping=default, override_mapping=override)
    runs = SyncRun.objects.filter(fresh | these, sync=sync, mode__in=(Mode.REMAP, Mode.FULL))
    run = runs.order_by("-created_at").first()
    if run is not None and run.status in ACTIVE:
        return RemapProgress("running", default, override, run)
    if (sync.default_mapping_id, sync.override_mapping_id) == (default.pk, override.pk if override else None):
        return RemapProgress("applied", default, override, run)
    if run is not None and run.status in ("failed", "cancelled"):
        return RemapProgress("failed", default, override, run)
    return RemapProgress("due", default, override, run)
