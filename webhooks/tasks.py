"""What Celery runs: three lines each."""

from __future__ import annotations

from celery import shared_task

from webhooks.services.hinting import TASK
from webhooks.services.sending import drain


@shared_task(name=TASK, ignore_result=True)
def deliver_task(endpoint_id: str) -> None:
    """Deliver what is due, of every endpoint: the one that is named has something."""
    drain()
