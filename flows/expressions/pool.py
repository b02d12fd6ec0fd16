"""The helpers of this process. Each is used by one thread at a time; a forked child has none of its parent's."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flows.expressions.helper import Helper

MAX_IDLE = 4
"""Kept for the next ones; there are never more than there are threads that evaluate."""


class Pool:
    """Lends out helpers. Started when first needed."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._all: set[Helper] = set()
        self._idle: list[Helper] = []

    @contextmanager
    def helper(self) -> Iterator[Helper]:
        """A helper for one request. One that is left in the middle of its answers is ended."""
        helper = self._take()
        is_clean = False
        try:
            yield helper
            is_clean = True
        finally:
            self._give_back(helper, is_clean)

    def close(self) -> None:
        """End all of them. A thread that is using one sees that it has ended."""
        with self._lock:
            used, idle = self._all.difference(self._idle), list(self._idle)
            self._all.clear()
            self._idle.clear()
        for helper in idle:
            helper.close()
        for helper in used:
            helper.kill()

    def pids(self) -> list[int]:
        """Of the helpers that run now."""
        with self._lock:
            return [helper.pid for helper in self._all]

    def _take(self) -> Helper:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            # Under the lock, so that no fork comes between the process and our knowledge of it.
            helper = Helper()
            self._all.add(helper)
        try:
            helper.wait_until_ready()
        except BaseException:
            self._give_back(helper, is_clean=False)
            raise
        return helper

    def _give_back(self, helper: Helper, is_clean: bool) -> None:
        with self._lock:
            is_kept = is_clean and helper.is_open and helper in self._all and len(self._idle) < MAX_IDLE
            if is_kept:
                self._idle.append(helper)
            else:
                self._all.discard(helper)
        if not is_kept:
            helper.close()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        for helper in self._all:
            helper.forget()
        self._reset()


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(
    before=POOL.before_fork,
    after_in_parent=POOL.after_fork_in_parent,
    after_in_child=POOL.after_fork_in_child,
)
