"""What API, admin, commands and ticks do with syncs: one function for each."""

from syncs.services.orders import ensure_syncs, pause_sync, resume_sync, update_sync
from syncs.services.reviews import review_run
from syncs.services.runs import cancel_run, request_run
from syncs.services.status import ConnectionSyncStatus, EntitySyncStatus, sync_status

__all__ = [
    "ConnectionSyncStatus",
    "EntitySyncStatus",
    "cancel_run",
    "ensure_syncs",
    "pause_sync",
    "request_run",
    "resume_sync",
    "review_run",
    "sync_status",
    "update_sync",
]
