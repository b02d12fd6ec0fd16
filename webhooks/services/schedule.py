"""When an attempt is made: pure arithmetic, the same for the same delivery."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

DELAYS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from each attempt to the next; the first is due at once. About 75 hours in all."""
MAX_ATTEMPTS = len(DELAYS)
JITTER = 0.1  # a share of the delay, up or down, at most
RETRY_AFTER_BOUNDS = (1.0, 86_400.0)
RETRY_AFTER_STATUSES = frozenset({429, 503})

PROBING_FROM = 3  # failures in a row
PROBE_SECONDS, PROBE_MAX_SECONDS = 1.0, 60.0
DISABLED_AFTER_SECONDS = 5 * 86_400


def seconds_before(attempt: int, delivery_id: UUID) -> float:
    """How long to wait before attempt number `attempt`, counted from 1, after the one before it failed."""
    return DELAYS[attempt - 1] * (1 + JITTER * _spread(attempt, delivery_id))


def seconds_after_failure(
    attempts: int, delivery_id: UUID, *, status: int | None = None, retry_after: float | None = None
) -> float | None:
    """How long to wait after `attempts` attempts that all failed; None when that was the last.

    `retry_after` (seconds) is what the endpoint asked for, honoured within a day where it is later than the schedule.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = seconds_before(attempts + 1, delivery_id)
    if retry_after is None or status not in RETRY_AFTER_STATUSES:
        return wait
    least, most = RETRY_AFTER_BOUNDS
    return max(wait, min(max(retry_after, least), most))


def probe_seconds(failures_in_row: int) -> float:
    """How long an endpoint that fails is left alone before one delivery is tried; 0 while it is not probed."""
    if failures_in_row < PROBING_FROM:
        return 0.0
    return float(min(PROBE_SECONDS * 2 ** min(failures_in_row - PROBING_FROM, 10), PROBE_MAX_SECONDS))


def _spread(attempt: int, delivery_id: UUID) -> float:
    """From -1 to 1, even, and always the same for this attempt."""
    digest = blake2b(attempt.to_bytes(2), key=delivery_id.bytes, digest_size=4).digest()
    return int.from_bytes(digest) / 2**31 - 1
