"""What goes through the bulk door, what comes back, and what is known of a delivery in between."""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from core.http.contents import KEPT_BYTES, Content
from core.http.kept import MAX_IDLE_SECONDS
from core.http.messages import check_header
from core.http.redaction import NO_SECRETS
from core.http.urls import Target

MAX_ANSWER_BYTES = 64 * 1024
_SECONDS = re.compile(r"[0-9]{1,9}")
# Leaves out a header of libcurl's own, by which it would wait for "100 continue" before a larger body.
_NO_WAITING = b"Expect:"


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """One POST. `key` comes back with its result; the time limit covers everything, the lookup of the name included."""

    key: Hashable
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_seconds: float = 15.0

    def header_lines(self) -> list[bytes]:
        """The headers as they are put on the wire. Errors: ConfigError HEADER_REFUSED."""
        lines = [_NO_WAITING]
        for name, value in self.headers.items():
            check_header(name, value)
            # An empty value is written with a semicolon: with a colon libcurl would leave the header out.
            lines.append(f"{name}: {value}".encode("latin-1") if value.strip() else f"{name};".encode())
        return lines


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a request.

    `status` is None when no answer came. `error_code` is set when there was none, or when it did not end properly
    (cut off, too slow): only with both a 2xx and no code was the message taken, see `is_taken`.
    Units: `elapsed_ms` from `submit` to the end of the answer; `retry_after` in seconds from now, when the server
    told a time to come. `answer_excerpt`: at most 4,096 characters, secrets cut.
    """

    key: Hashable
    status: int | None
    error_code: str
    elapsed_ms: float
    answer_excerpt: str = ""
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300 and not self.error_code


@dataclass(slots=True, eq=False)
class Origin:
    """A server by its scheme, host and port.

    `addresses` are those of the latest lookup, all judged; `resolve` gives them to libcurl. `kept_until` is when the
    last connection to it may have idled out (monotonic). `waiting` are the jobs waiting for the lookup that runs.
    """

    host: str
    port: int
    addresses: frozenset[IPv4Address | IPv6Address] = frozenset()
    resolve: list[str] = field(default_factory=list)
    kept_until: float = 0.0
    waiting: list[Job] = field(default_factory=list)

    def found(self, addresses: tuple[str, ...]) -> None:
        """Remember a lookup's judged addresses."""
        self.addresses = frozenset(map(ip_address, addresses))
        written = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        host = f"[{self.host}]" if ":" in self.host else self.host
        # The plus lets libcurl forget it in time; it is given anew with every request.
        self.resolve = [f"+{host}:{self.port}:{written}"]

    @property
    def is_idle(self) -> bool:
        return not self.waiting and time.monotonic() > self.kept_until


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way. `addresses` may be dialled for it; none were looked up yet while it is empty."""

    request: BulkRequest
    target: Target
    lines: list[bytes]
    origin: Origin
    begun: float = field(default_factory=time.monotonic)
    addresses: frozenset[IPv4Address | IPv6Address] = frozenset()
    was_refused: bool = False
    start: bytearray = field(default_factory=bytearray)
    size: int = 0
    retry_after: str = ""

    @property
    def remaining(self) -> float:
        """Seconds that are left."""
        return self.begun + self.request.timeout_seconds - time.monotonic()

    def may_dial(self, address: str) -> bool:
        """Whether a new connection may be made to `address`: a lookup made for this job must have allowed it.

        Jobs to one server share libcurl's table of addresses, so a later job's lookup counts too.
        """
        return bool(self.addresses) and ip_address(address) in self.addresses | self.origin.addresses

    def take(self, piece: bytes) -> bool:
        """Keep the beginning of the answer; False when it grows too large."""
        self.size += len(piece)
        if len(self.start) < KEPT_BYTES:
            self.start += piece[: KEPT_BYTES - len(self.start)]
        return self.size <= MAX_ANSWER_BYTES

    @property
    def was_cut(self) -> bool:
        return self.size > MAX_ANSWER_BYTES

    def ended(self, status: int | None, error_code: str = "", kind: str = "") -> BulkResult:
        """The result; `kind` is the answer's content type."""
        elapsed_ms = (time.monotonic() - self.begun) * 1000
        if status is None:
            return BulkResult(self.request.key, None, error_code, elapsed_ms)
        self.origin.kept_until = time.monotonic() + MAX_IDLE_SECONDS
        excerpt = _excerpt(bytes(self.start), self.size, kind)
        return BulkResult(self.request.key, status, error_code, elapsed_ms, excerpt, seconds_until(self.retry_after))

    def forget_answer(self) -> None:
        """Begin anew: nothing of an earlier try counts."""
        self.start.clear()
        self.size, self.retry_after, self.was_refused = 0, "", False


@lru_cache(maxsize=128)
def _excerpt(start: bytes, size: int, kind: str) -> str:
    """Kept, because a server answers the same to most messages, and cutting secrets takes longer than sending."""
    return Content(start, size, kind).text(NO_SECRETS)


def seconds_until(retry_after: str) -> float | None:
    """What a Retry-After header (seconds, or a date) asks for; None without a usable one that lies ahead."""
    value = retry_after.strip()
    if _SECONDS.fullmatch(value):
        return float(value) or None
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    left = (aware - datetime.now(UTC)).total_seconds()
    return left if left > 0 else None
