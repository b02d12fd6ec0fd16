"""Connections to judged addresses only, each operation within the time of the call.

urllib3 does the talking. Its connection is given the original name, so the Host header (with port), SNI and the check
of the certificate stay as they are; only the socket underneath comes from the route. What breaks is named here, where
it is known how far the call had come, so that no error of urllib3 or requests is needed to tell it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.http.exchange import Exchange
from core.http.failures import WIRE_ERRORS
from core.http.kept import has_idled
from core.http.sockets import TimedSocket, TimedTlsSocket
from core.http.transport import Route


class StaleConnectionError(Exception):
    """A kept connection was closed by the server before it answered anything. Stays inside the door."""


class Line:
    """Between a client and its connections: how targets are reached, and the exchange of the moment."""

    exchange: Exchange

    def __init__(self, route: Route) -> None:
        self.route = route


class Pinned(HTTPConnection):
    """Takes its socket from the route of `line` and what it sends from the exchange."""

    sock: TimedSocket | TimedTlsSocket | None

    def __init__(self, *args: Any, line: Line, **options: Any) -> None:
        super().__init__(*args, **options)
        self._line = line
        self._may_be_stale = False

    def _new_conn(self) -> socket.socket:
        exchange = self._line.exchange
        return self._line.route.dial(exchange.target, exchange.call)

    def connect(self) -> None:
        exchange = self._line.exchange
        exchange.refuse_when_late()  # spares the connection; what counts is the check before the first byte
        with exchange.connecting():
            super().connect()

    def request(  # type: ignore[override]
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Send the exchange's own request line; `url` is a stand-in, see `client.Adapter.request_url`."""
        exchange = self._line.exchange
        sock = self._ready_socket(exchange)
        self._may_be_stale = sock.call is not exchange.call and not exchange.request.is_write
        sock.call = exchange.call
        exchange.refuse_when_late()
        # A server that refuses us closes early, but what it said before (413, a TLS alert) can still be read; when it
        # said nothing, the reading fails instead.
        with self._named_failures(), suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            super().request(method, exchange.request_target, body, headers, **options)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        # urllib3 logs this URL when an answer's headers are malformed, and a query may hold a key.
        if self._response_options is not None:
            self._response_options = self._response_options._replace(request_url="")
        with self._named_failures(), self._line.exchange.call.headers_expected():
            return super().getresponse()

    def _ready_socket(self, exchange: Exchange) -> TimedSocket | TimedTlsSocket:
        if self.sock is not None and has_idled(self.sock.call.idle_seconds, is_write=exchange.request.is_write):
            self.close()
        if self.sock is None:
            self.connect()
        assert self.sock is not None
        return self.sock

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        exchange, received = self._line.exchange, self._line.exchange.call.received_bytes
        try:
            yield
        except WIRE_ERRORS as error:
            if self._may_be_stale and isinstance(error, ConnectionError) and exchange.call.received_bytes == received:
                raise StaleConnectionError from error
            failure = exchange.failure(error)
            if failure is error:
                raise
            raise failure from error


class PinnedTls(Pinned, HTTPSConnection):
    """The same over TLS; the pool takes it for verified because the route's context always verifies."""

    sock: TimedTlsSocket | None
