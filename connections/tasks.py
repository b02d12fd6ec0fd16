"""What Celery runs: three lines each."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from connections.services.polling import TASK, poll_health


@shared_task(name=TASK, ignore_result=True)
def poll_health_task(connection_id: str) -> None:
    """Ask one system whether it answers."""
    poll_health(UUID(connection_id))
