"""What Celery runs: three lines each."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from syncs.engine.run import execute_run
from syncs.operations.execute import execute_operation


@shared_task(name="syncs.execute_run", ignore_result=True)
def execute_run_task(run_id: str) -> None:
    """Work on one run."""
    execute_run(UUID(run_id))


@shared_task(name="syncs.execute_operation", ignore_result=True)
def execute_operation_task(operation_id: str) -> None:
    """Work on one operation."""
    execute_operation(UUID(operation_id))
