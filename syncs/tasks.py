"""What Celery runs: three lines each."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from syncs.engine.run import execute_run


@shared_task(name="syncs.execute_run", ignore_result=True)
def execute_run_task(run_id: str) -> None:
    """Work on one run."""
    execute_run(UUID(run_id))
