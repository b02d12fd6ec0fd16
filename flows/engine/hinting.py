"""Telling workers that a run is to go on."""

from __future__ import annotations

from uuid import UUID

from core import hints

TASK, QUEUE = "flows.execute_run", "flows"


def run_soon(run_id: UUID) -> None:
    """Have a worker take the run up, once the current transaction has committed. Losing the hint loses nothing."""
    hints.hint(TASK, run_id, queue=QUEUE)
