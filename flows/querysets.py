"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models

from flows.choices import UNENDED


class FlowQuerySet(models.QuerySet[Any]):
    """Selections of flows."""

    def started_by_itself(self) -> FlowQuerySet:
        """Published and not paused: their triggers start runs."""
        return self.filter(is_paused=False, version__isnull=False)


class FlowVersionQuerySet(models.QuerySet[Any]):
    """Selections of versions."""

    def published(self) -> FlowVersionQuerySet:
        """Without drafts that were only tried out."""
        return self.filter(number__isnull=False)


class FlowRunQuerySet(models.QuerySet[Any]):
    """Selections of runs."""

    def unended(self) -> FlowRunQuerySet:
        """Queued, running or waiting."""
        return self.filter(status__in=UNENDED)

    def real(self) -> FlowRunQuerySet:
        """Without dry runs."""
        return self.filter(is_dry=False)
