"""Waiting for outcomes within a request: a few threads of the web process at once, without a session of its pool."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.errors import RateLimitedError
from syncs.models import Operation
from syncs.services.writes import wait_for

SHARE = 4
DEFAULT_WEB_THREADS = 8


@cache
def places() -> threading.BoundedSemaphore:
    """A quarter of the web threads, at least one: the others answer everybody else meanwhile."""
    return threading.BoundedSemaphore(max(1, int(getattr(settings, "WEB_THREADS", DEFAULT_WEB_THREADS)) // SHARE))


def wait_for_all(operation_ids: Sequence[UUID], seconds: float) -> tuple[list[Operation], bool]:
    """The operations, in order, once all have ended or so many seconds have passed; and whether that was waited for.

    It is not when no place is free. Call it outside of transactions.
    """
    held = seconds > 0 and places().acquire(blocking=False)
    try:
        deadline = time.monotonic() + (seconds if held else 0)
        found = [wait_for(pk, max(0.0, deadline - time.monotonic()), pause=rest) for pk in operation_ids]
    finally:
        if held:
            places().release()
    return found, held or seconds <= 0


@contextmanager
def upstream_place() -> Iterator[None]:
    """A place for a request that itself asks the system. Errors: RateLimitedError when none is free."""
    if not places().acquire(blocking=False):
        raise RateLimitedError(
            "Too many requests of this web process wait for systems already.", code="TOO_MANY_AT_ONCE", retry_after=1
        )
    try:
        yield
    finally:
        places().release()


def rest(seconds: float) -> None:
    """Sleep between two looks. A session of the pool goes back meanwhile, for the other threads."""
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
    time.sleep(seconds)
