"""What the schedules of syncs were, as the database copied it. Cursors and due times are not among it."""

from __future__ import annotations

from django.db import models

from core.history import history_of
from core.scoping import scoped
from syncs.models.syncing import Sync

SYNC_SETTINGS = (
    "workspace", "connection", "entity", "enabled", "paused", "interval_seconds", "full_interval_seconds",
    "history_days",
)  # fmt: skip


class SyncHistory(history_of(Sync, SYNC_SETTINGS)):  # type: ignore[misc]
    """A sync's schedule as it was."""

    objects = scoped(models.QuerySet, workspace="workspace")
