"""Duties of the tick in this room. Each answers how many rows it moved; any number of tickers may run them at once."""

from __future__ import annotations

from connections.services.polling import QUEUE, TASK, due_polls
from core import hints
from core.seldom import Seldom

BATCH = 500
REHINT_SECONDS = 60
# By connection and due time: the next poll is another key. Several tickers tell the same; only the first claim polls.
_told = Seldom(seconds=REHINT_SECONDS, most=20_000)


def hint_due_polls() -> int:
    """Tell workers of connections whose health is to be asked for, and again of those that waited a minute."""
    told = 0
    for connection_id, due_at in due_polls(BATCH):
        if not _told.is_due((connection_id, due_at)):
            continue
        if not hints.publish(TASK, connection_id, queue=QUEUE):
            break
        _told.told((connection_id, due_at))
        told += 1
    return told
