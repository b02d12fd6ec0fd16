"""Waiting for outcomes within a request: a few threads of the web process at once, without a session of its pool."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from uuid import UUID

from core.waiting import Places, rest
from syncs.models import Operation
from syncs.services.writes import wait_for


@cache
def places() -> Places:
    """Those of requests that wait for systems."""
    return Places()


def wait_for_all(operation_ids: Sequence[UUID], seconds: float) -> tuple[list[Operation], bool]:
    """The operations, in order, once all have ended or so many seconds have passed; and whether that was waited for.

    It is not when no place is free. Call it outside of transactions.
    """
    held = seconds > 0 and places().acquire()
    try:
        deadline = time.monotonic() + (seconds if held else 0)
        found = [wait_for(pk, max(0.0, deadline - time.monotonic()), pause=rest) for pk in operation_ids]
    finally:
        if held:
            places().release()
    return found, held or seconds <= 0


def upstream_place() -> AbstractContextManager[None]:
    """A place for a request that itself asks the system. Errors: RateLimitedError when none is free."""
    return places().taken("Too many requests of this web process wait for systems already.")
