"""Waiting within a request: a few threads of the web process at once, without a session of its database pool."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from core.errors import RateLimitedError

SHARE = 4
DEFAULT_WEB_THREADS = 8


class Places:
    """A quarter of the web threads of this process, at least one: the others answer everybody else meanwhile.

    Each kind of waiting has places of its own, so that followers of the feed do not take those of writes.
    """

    def __init__(self) -> None:
        threads = int(getattr(settings, "WEB_THREADS", DEFAULT_WEB_THREADS))
        self._free = threading.BoundedSemaphore(max(1, threads // SHARE))

    def acquire(self, *, blocking: bool = False) -> bool:
        """Take a place if one is free. Give it back by `release`."""
        return self._free.acquire(blocking=blocking)

    def release(self) -> None:
        self._free.release()

    @contextmanager
    def taken(self, refusal: str) -> Iterator[None]:
        """A place for the block. Errors: RateLimitedError TOO_MANY_AT_ONCE with the text `refusal` when none is free."""
        if not self.acquire():
            raise RateLimitedError(refusal, code="TOO_MANY_AT_ONCE", retry_after=1)
        try:
            yield
        finally:
            self.release()


def rest(seconds: float) -> None:
    """Sleep between two looks. A session of the pool goes back meanwhile, for the other threads."""
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
    time.sleep(seconds)
