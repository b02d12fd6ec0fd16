"""Hints: telling a worker, after commit, that a row waits. Losing one loses nothing; the tick tells again."""

from __future__ import annotations

import time
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)
BREAKER_SECONDS = 5.0
_closed_at = 0.0  # monotonic time until which the broker is left alone, one per process


def hint(task: str, row_id: UUID, *, queue: str) -> None:
    """Tell a worker of `queue` to look at one row, once the current transaction has committed.

    Never raises: a committed write must not fail because the broker is down.
    """
    transaction.on_commit(lambda: publish(task, row_id, queue=queue), robust=True)


def publish(task: str, row_id: UUID, *, queue: str) -> bool:
    """Send now; False when the broker did not take it (logged, and left alone for a few seconds)."""
    global _closed_at
    if time.monotonic() < _closed_at:
        return False
    try:
        current_app.send_task(
            task, args=[str(row_id)], queue=settings.REDIS_PREFIX + queue, retry=False, ignore_result=True
        )
    except (OperationalError, OSError) as error:
        _closed_at = time.monotonic() + BREAKER_SECONDS
        log.warning("hint_not_sent", task=task, queue=queue, error=str(error))
        return False
    return True
