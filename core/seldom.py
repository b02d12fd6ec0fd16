"""What is told once in a while, however often it happens."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable


class Seldom:
    """Remembers in this process, for at most `most` keys, when each was told last.

    A key that fell out of the memory counts as never told: something is then told twice, never left out.
    """

    def __init__(self, *, seconds: float, most: int = 10_000) -> None:
        self._seconds, self._most = seconds, most
        self._told: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def is_due(self, key: Hashable) -> bool:
        """Whether the last time is longer ago than `seconds`."""
        with self._lock:
            at = self._told.get(key)
        return at is None or time.monotonic() - at >= self._seconds

    def told(self, key: Hashable) -> None:
        """It was told now."""
        with self._lock:
            self._told[key] = time.monotonic()
            self._told.move_to_end(key)
            while len(self._told) > self._most:
                self._told.popitem(last=False)

    def forget(self) -> None:
        """As in a process that has just begun."""
        with self._lock:
            self._told.clear()
