"""How many requests a minute a token may make, and how many all tokens together about one connection.

Counted in Redis by fixed minutes, one round trip a request, so that all web processes count together. Without Redis each
process counts for itself: requests go on, and nobody gets more than the limit times the number of processes.
"""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings

from core import ids
from core.errors import RateLimitedError
from workspaces.models import ApiToken

WINDOW_SECONDS = 60
TIMEOUT_SECONDS = 0.25
BREAKER_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Quota:
    """One limit as it stands: `remaining` requests until `reset_seconds` from now. `name`: token or connection."""

    name: str
    limit: int
    count: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.count)

    @property
    def is_exceeded(self) -> bool:
        return self.count > self.limit


@dataclass(frozen=True)
class _Limit:
    name: str
    key: str
    limit: int


def take_request(token: ApiToken, connection: str | None) -> list[Quota]:
    """Count one request of the token, and of the connection it names (its shown id, as sent). A limit of 0 is none."""
    limits = [_Limit("token", token.pk.hex, _of_token(token))]
    about = token.connection_id or (ids.read("con", connection) if connection else None)
    if about:
        # Beside the workspace: an id of somebody else's counts in one's own account alone.
        key = f"{token.workspace_id.hex}:{about.hex}"
        limits.append(_Limit("connection", key, settings.RATE_LIMIT_CONNECTION))
    return _counted([limit for limit in limits if limit.limit])


def take_named(name: str, key: str, limit: int) -> Quota | None:
    """Count one request against a limit of another kind, e.g. of messages at one address. None where there is no limit."""
    return next(iter(_counted([_Limit(name, key, limit)])), None) if limit else None


def headers_of(quotas: Sequence[Quota]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` as the IETF draft "RateLimit header fields for HTTP" (10) writes them."""
    if not quotas:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{quota.name}";q={quota.limit};w={WINDOW_SECONDS}' for quota in quotas),
        "RateLimit": ", ".join(f'"{quota.name}";r={quota.remaining};t={quota.reset_seconds}' for quota in quotas),
    }


def refuse_exceeded(quotas: Iterable[Quota]) -> None:
    """RateLimitedError with the seconds to wait, when a limit is exceeded."""
    for quota in quotas:
        if quota.is_exceeded:
            whose = "this token" if quota.name == "token" else "this connection"
            raise RateLimitedError(
                f"More than {quota.limit} requests a minute with {whose}. Wait {quota.reset_seconds} s.",
                retry_after=quota.reset_seconds,
            )


def _of_token(token: ApiToken) -> int:
    own = token.rate_limit_per_minute
    return settings.RATE_LIMIT_TOKEN if own is None else own


def _counted(limits: list[_Limit]) -> list[Quota]:
    if not limits:
        return []
    now = time.time()
    keys, resets = [], []
    for limit in limits:
        # Windows begin at different seconds: not all callers come back in the same one.
        shift = zlib.crc32(limit.key.encode()) % WINDOW_SECONDS
        window, passed = divmod(now + shift, WINDOW_SECONDS)
        keys.append(f"{settings.REDIS_PREFIX}rate:{limit.name}:{limit.key}:{int(window)}")
        resets.append(max(1, math.ceil(WINDOW_SECONDS - passed)))
    counts = _counter.hit(keys)
    if len(limits) > 1 and counts[0] > limits[0].limit:
        # Refused for the token: the connection's other tokens lose nothing by it.
        _counter.give_back(keys[1:])
        counts[1:] = [count - 1 for count in counts[1:]]
    return [
        Quota(limit.name, limit.limit, count, reset) for limit, count, reset in zip(limits, counts, resets, strict=True)
    ]


class _Counter:
    """Counts in Redis; in this process while Redis does not answer, without asking it again for a few seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: dict[str, int] = {}
        self._away_until = 0.0

    def hit(self, keys: list[str]) -> list[int]:
        """One more of each; answers how many there are now."""
        return self._change(keys, 1)

    def give_back(self, keys: list[str]) -> None:
        """One less of each, which was counted just now."""
        self._change(keys, -1)

    def _change(self, keys: list[str], by: int) -> list[int]:
        if settings.REDIS_URL and time.monotonic() >= self._away_until:
            try:
                return self._ask(keys, by)
            except (redis.RedisError, OSError) as error:
                self._away_until = time.monotonic() + BREAKER_SECONDS
                log.warning("rate_limits_counted_alone", error=type(error).__name__)
        return self._count(keys, by)

    def _ask(self, keys: list[str], by: int) -> list[int]:
        with _client(settings.REDIS_URL).pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.incrby(key, by)
                pipe.expire(key, 2 * WINDOW_SECONDS)
            answers: list[Any] = pipe.execute()
        return [int(answer) for answer in answers[::2]]

    def _count(self, keys: list[str], by: int) -> list[int]:
        with self._lock:
            if len(self._own) > 10_000:
                self._own.clear()
            for key in keys:
                self._own[key] = self._own.get(key, 0) + by
            return [self._own[key] for key in keys]


_counter = _Counter()


@lru_cache(maxsize=2)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
