"""Duties of the tick in this room. Each answers how many rows it moved; any number of tickers may run them at once."""

from __future__ import annotations

from core import hints
from core.seldom import Seldom
from webhooks.services.claiming import something_is_due
from webhooks.services.fanout import fan_out as fan_out_feeds
from webhooks.services.hinting import QUEUE, TASK
from webhooks.services.keeping import forget_old_deliveries
from webhooks.services.seats import has_free_seat

_hints = Seldom(seconds=2.0)


def fan_out() -> int:
    """Deliveries for the events that endpoints want."""
    return fan_out_feeds()


def hint_due_deliveries() -> int:
    """Tell a worker that something is due, unless enough of them deliver already. Not each second: nobody may listen."""
    if not _hints.is_due(TASK):
        return 0
    waiting = something_is_due()
    if waiting is None or not has_free_seat():
        return 0
    _hints.told(TASK)
    return int(hints.publish(TASK, waiting, queue=QUEUE))


def forget_old_rows() -> int:
    """Deliveries after 30 days, in small batches."""
    return forget_old_deliveries()
