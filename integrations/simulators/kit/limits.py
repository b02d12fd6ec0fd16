"""The limit of requests a minute."""

from __future__ import annotations

import threading
import time
from collections import Counter

from integrations.simulators.kit.messages import Answer
from integrations.simulators.kit.settings import Settings

_WINDOW_SECONDS = 60


class Window:
    """Counts requests a key within fixed minutes, as the headers tell it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._left = 0

    def count(self, key: str, settings: Settings) -> int | None:
        """Seconds to wait when the limit is reached, else None."""
        limit = settings["rate_limit_per_minute"]
        if limit is None:
            return None
        with self._lock:
            if time.monotonic() - self._began >= _WINDOW_SECONDS:
                self._began, self._counts = time.monotonic(), Counter()
            self._counts[key] += 1
            self._left = max(0, int(limit) - self._counts[key])
            return self._reset() if self._counts[key] > limit else None

    def tell(self, answer: Answer, settings: Settings) -> None:
        limit = settings["rate_limit_per_minute"]
        if limit is not None and answer.status != 429:
            answer.headers |= {
                "X-Rate-Limit-Limit": str(limit),
                "X-Rate-Limit-Remaining": str(self._left),
                "X-Rate-Limit-Reset": str(self._reset()),
            }

    def _reset(self) -> int:
        return max(1, round(_WINDOW_SECONDS - (time.monotonic() - self._began)))
