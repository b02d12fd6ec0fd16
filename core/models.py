"""Rows of the platform's own machinery."""

from __future__ import annotations

from django.db import models


class TickBeat(models.Model):
    """When each duty of the tick ran last. Read by /healthz/worker and `doctor`."""

    name = models.CharField(max_length=200, primary_key=True)
    last_at = models.DateTimeField(help_text="End of the last run (database clock, UTC).")
    elapsed_ms = models.IntegerField(help_text="How long it took, milliseconds.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why the last run failed; empty when it did not.")

    def __str__(self) -> str:
        return self.name
