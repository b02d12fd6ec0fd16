"""What Celery runs: three lines each."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from flows.engine.hinting import TASK
from flows.engine.run import execute_flow_run
from flows.services import following


@shared_task(name=TASK, ignore_result=True)
def execute_flow_run_task(run_id: str) -> None:
    """Work on one run of a flow."""
    execute_flow_run(UUID(run_id))


@shared_task(name=following.TASK, ignore_result=True)
def follow_task(flow_id: str) -> None:
    """Look at the events that came for one flow."""
    following.follow(UUID(flow_id))
