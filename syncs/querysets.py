"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models

from syncs.choices import ACTIVE, UNFINISHED


class SyncQuerySet(models.QuerySet[Any]):
    """Selections of syncs."""

    def shared(self) -> SyncQuerySet:
        """Switched on, and of entities that the customer shares."""
        named = models.Func(
            models.F("connection__shared"),
            models.F("entity"),
            function="jsonb_exists",
            output_field=models.BooleanField(),
        )
        return self.filter(models.Q(connection__shared__isnull=True) | models.Q(named), enabled=True)

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


class OperationQuerySet(models.QuerySet[Any]):
    """Selections of operations."""

    def unfinished(self) -> OperationQuerySet:
        """Whose outcome is still to come."""
        return self.filter(status__in=UNFINISHED)

    def overlapping(self, since: Any) -> OperationQuerySet:
        """Writes that may have changed an object after this moment: begun, and not ended before it."""
        return self.filter(sent_at__isnull=False).filter(models.Q(done_at=None) | models.Q(done_at__gte=since))
