"""A minimal keep-alive HTTP/1.1 server: one process, one event loop, one handler function.

It does as little as possible per request, so that a benchmark measures the client.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qsl

REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler needs. `query` holds the last value of each name."""

    method: str
    path: str
    query: dict[str, str]


Handler = Callable[[Request], bytes]


def response(status: int, body: bytes) -> bytes:
    """A whole answer with a JSON body."""
    return b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        REASONS[status],
        formatdate(usegmt=True).encode(),
        len(body),
        body,
    )


class Protocol(asyncio.Protocol):
    """Answers requests in the order in which they come."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            whole = end + 4 + _content_length(head)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            assert self._transport is not None
            self._transport.write(self._handler(_request(head)))


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _request(head: bytes) -> Request:
    method, target, _ = head.partition(b"\r\n")[0].decode().split(" ", 2)
    path, _, query = target.partition("?")
    return Request(method, path, dict(parse_qsl(query)))


async def _serve(handler: Handler) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Protocol(handler), "127.0.0.1", 0)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()


def serve(handler: Handler) -> None:
    """Serve on a free loopback port, which is told on standard output, until SIGTERM."""
    asyncio.run(_serve(handler))
