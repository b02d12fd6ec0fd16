"""What stores answered lately, in this process's memory only."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

MAX_ENTRIES = 1000


@dataclass(frozen=True)
class Kept:
    """A value and when it was read, on the monotonic clock. The value is in no repr."""

    value: str = field(repr=False)
    at: float

    def is_younger(self, seconds: float) -> bool:
        """Whether it was read less than so many seconds ago."""
        return time.monotonic() - self.at < seconds


class Cache:
    """Values by the name of their place; the ones used longest ago make room."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: OrderedDict[str, Kept] = OrderedDict()
        self._max_entries = max_entries
        self._lock = Lock()

    def get(self, place: str) -> Kept | None:
        """What was kept, however old."""
        with self._lock:
            if place in self._entries:
                self._entries.move_to_end(place)
            return self._entries.get(place)

    def put(self, place: str, value: str) -> None:
        """Keep a value that was read just now."""
        with self._lock:
            self._entries[place] = Kept(value, time.monotonic())
            self._entries.move_to_end(place)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def drop(self, place: str) -> None:
        """Forget one."""
        with self._lock:
            self._entries.pop(place, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Cache of {len(self)} secrets>"
