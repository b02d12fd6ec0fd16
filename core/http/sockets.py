"""Sockets that know when the whole call must be over.

The usual time-outs count for each operation anew, so a server that drips one byte at a time holds a worker for ever.
Here each operation gets only what is left of the call.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import BadAnswerError

MAX_HEADER_BYTES = 128 * 1024
# What a response reads ahead while it looks for the end of a line. The usual 8 KiB make a page in small chunks take
# twice the time.
READ_AHEAD_BYTES = 64 * 1024


class Call:
    """The clock and the counters of one call. Counts are bytes of HTTP, before TLS."""

    def __init__(self, total_seconds: float) -> None:
        self._heard_at = time.monotonic()
        self.deadline = self._heard_at + total_seconds
        self._limit = self.deadline
        self._header_bytes_left: int | None = None
        self.sent_bytes = 0
        self.received_bytes = 0

    def remaining(self) -> float:
        """Seconds left for the present phase. Errors: TimeoutError when there are none."""
        left = self._limit - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time limit of the call is reached")
        return left

    @property
    def idle_seconds(self) -> float:
        """Time since the server was last heard under this call."""
        return time.monotonic() - self._heard_at

    def limit_phase(self, seconds: float | None) -> None:
        """Give the present phase (connecting) less than the whole call has; None takes the limit off."""
        self._limit = self.deadline if seconds is None else min(self.deadline, time.monotonic() + seconds)

    @contextmanager
    def headers_expected(self) -> Iterator[None]:
        """What comes meanwhile are headers, `MAX_HEADER_BYTES` at most, and what is read ahead of the body."""
        self._header_bytes_left = MAX_HEADER_BYTES + READ_AHEAD_BYTES
        try:
            yield
        finally:
            self._header_bytes_left = None

    def count_received(self, count: int) -> None:
        self._heard_at = time.monotonic()
        self.received_bytes += count
        if self._header_bytes_left is not None:
            self._header_bytes_left -= count
            if self._header_bytes_left < 0:
                detail = f"The answer's headers are larger than {MAX_HEADER_BYTES // 1024} KiB."
                raise BadAnswerError(detail, code="HEADERS_TOO_LARGE")


class _ReadsAhead(socket.socket):
    def makefile(self, mode: Any = "r", buffering: int | None = None, **options: Any) -> Any:
        return super().makefile(mode, READ_AHEAD_BYTES if buffering is None else buffering, **options)


class TimedSocket(_ReadsAhead):
    """A plain socket under the limit of `call`, which is set before first use."""

    call: Call

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.settimeout(self.call.remaining())
        super().sendall(data, flags)
        self.call.sent_bytes += len(data)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(self.call.remaining())
        count = super().recv_into(buffer, nbytes, flags)
        self.call.count_received(count)
        return count


class TimedTlsSocket(_ReadsAhead, ssl.SSLSocket):
    """The same over TLS; `sendall` of the base class is a loop over `send`."""

    call: Call

    def send(self, data: Any, flags: int = 0) -> int:
        self.settimeout(self.call.remaining())
        count = super().send(data, flags)
        self.call.sent_bytes += count
        return count

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(self.call.remaining())
        count = super().recv_into(buffer, nbytes, flags)
        self.call.count_received(count)
        return count
