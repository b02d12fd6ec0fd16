"""Times as text: UTC with milliseconds, so that their order as text is their order in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_DAY = 86_400


class Clock:
    """Never goes back, so what is written later never bears an earlier time."""

    def __init__(self) -> None:
        self._last = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        self._last = max(self._last, time.time())
        return self._last

    def text(self) -> str:
        return text_of(self.now())


# strftime for the whole of it takes ten times as long, and a big seed needs hundreds of thousands.
_days: dict[int, str] = {}


def text_of(seconds: float) -> str:
    """2026-11-24T07:00:00.000Z"""
    milliseconds = int(seconds * 1000)
    day, rest = divmod(milliseconds, _DAY * 1000)
    if day not in _days:
        _days[day] = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%dT")
    minutes, rest = divmod(rest, 60_000)
    return f"{_days[day]}{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}Z"


def normalised(text: str) -> str:
    """An ISO 8601 date or time in the form of this module; ValueError when it is none. Without a zone it is UTC."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text_of((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
