"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models

from syncs.choices import ACTIVE


class SyncQuerySet(models.QuerySet[Any]):
    """Selections of syncs."""

    def running_order(self) -> SyncQuerySet:
        return self.order_by("connection_id", "entity")


class RunQuerySet(models.QuerySet[Any]):
    """Selections of runs."""

    def active(self) -> RunQuerySet:
        """Queued, running or waiting: at most one a sync."""
        return self.filter(status__in=ACTIVE)


class RecordQuerySet(models.QuerySet[Any]):
    """Selections of records."""

    def live(self) -> RecordQuerySet:
        """Without the tombstones."""
        return self.filter(deleted_at=None)
