"""Duties of the tick in this room. Any number of tickers may run them at once."""

from __future__ import annotations

from console import activity


def count_activity() -> int:
    """What the feed tells is counted for the home page."""
    return activity.count_activity()


def forget_old_hours() -> int:
    """Counts older than anybody is shown."""
    return activity.forget_old_hours()
