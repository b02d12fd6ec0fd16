"""A receiver in a process of its own: answers each POST with 200 after a fixed time, and counts.

    python -m benchmarks.webhooks.sink --latency-ms 50

Prints its port. `GET /told` answers and forgets what came: {"count", "distinct", "first", "last"}; times are seconds since
1970 of the first request's arrival and of the last answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import time

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
_ID = re.compile(rb"^webhook-id: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Told:
    """What came since somebody asked."""

    def __init__(self) -> None:
        self.count, self.ids, self.first, self.last = 0, set[bytes](), 0.0, 0.0

    def take(self) -> bytes:
        """An answer with all of it; then begin anew."""
        told = {"count": self.count, "distinct": len(self.ids), "first": self.first, "last": self.last}
        self.__init__()  # type: ignore[misc]
        body = json.dumps(told).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Receiver(asyncio.Protocol):
    """One kept connection; its requests come one after the other."""

    def __init__(self, told: Told, latency_seconds: float) -> None:
        self._told, self._latency_seconds = told, latency_seconds
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            if head.startswith(b"GET"):
                self._transport.write(self._told.take())
            else:
                self._count(head)

    def _count(self, head: bytes) -> None:
        told, now = self._told, time.time()
        told.first = told.first or now
        told.count += 1
        if found := _ID.search(head):
            told.ids.add(found[1])
        if self._latency_seconds:
            self._loop.call_later(self._latency_seconds, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        self._told.last = time.time()
        self._transport.write(TAKEN)


async def serve(latency_seconds: float) -> None:
    loop, stop, told = asyncio.get_running_loop(), asyncio.Event(), Told()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Receiver(told, latency_seconds), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency-ms", type=float, default=0)
    asyncio.run(serve(parser.parse_args().latency_ms / 1000))
