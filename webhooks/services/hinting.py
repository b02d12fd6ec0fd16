"""Telling workers that something is to be delivered."""

from __future__ import annotations

from uuid import UUID

from core import hints

TASK, QUEUE = "webhooks.deliver", "events"


def deliver_soon(endpoint_id: UUID) -> None:
    """Have a worker deliver what is due, once the current transaction has committed. Losing the hint loses nothing."""
    hints.hint(TASK, endpoint_id, queue=QUEUE)
