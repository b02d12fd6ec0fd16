"""One request and its answer over an open connection."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection

from core.errors import LineshaftError, TransientError
from core.http.body import read_body
from core.http.failures import WIRE_ERRORS, talk_failure
from core.http.messages import Outgoing, Request
from core.http.redirects import is_redirect
from core.http.sockets import Call, TimedSocket, TimedTlsSocket
from core.http.urls import Proxy, Target


class StaleConnectionError(Exception):
    """A kept connection was closed by the server before it answered anything. Stays inside the door."""


@dataclass(frozen=True)
class Answer:
    """What came back; the body of a redirect is not read."""

    raw: HTTPResponse
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """A request on its way to `target`, within the time of `call`."""

    request: Request
    sending: Outgoing
    target: Target
    call: Call
    proxy: Proxy | None

    def over(self, connection: HTTPConnection, *, is_kept: bool) -> Answer:
        """Send and read. A connection that may be used again stays open; after a failure it is closed.

        Errors: as `Door.send`; StaleConnectionError when a kept connection was gone and sending again is safe.
        """
        cast(TimedSocket | TimedTlsSocket, connection.sock).call = self.call
        received = self.call.received_bytes
        raw: HTTPResponse | None = None
        try:
            self.refuse_when_late()
            raw = self._ask(connection)
            if is_redirect(raw.status, raw.headers):
                _close(connection, raw)
                return Answer(raw, b"")
            return Answer(raw, read_body(raw, self.request.max_bytes))
        except WIRE_ERRORS as error:
            _close(connection, raw)
            is_untouched = isinstance(error, ConnectionError) and self.call.received_bytes == received
            if is_kept and is_untouched and not self.request.is_write:
                raise StaleConnectionError from error
            failure = self._failure(error, raw)
            if failure is error:
                raise
            raise failure from error
        except BaseException:
            _close(connection, raw)
            raise

    def _ask(self, connection: HTTPConnection) -> HTTPResponse:
        headers = dict(self.sending.headers)
        path = self.target.path
        if self.proxy and self.target.scheme == "http":
            path = self.target.url
            if self.proxy.authorization:
                headers["Proxy-Authorization"] = self.proxy.authorization
        # A server that refuses us closes early, but what it said before (413, a TLS alert) can still be read; when it
        # said nothing, the reading fails instead.
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            connection.request(self.sending.method, path, self.sending.body, headers, preload_content=False)
        self.call.expect_headers(True)
        try:
            return connection.getresponse()
        finally:
            self.call.expect_headers(False)

    def refuse_when_late(self) -> None:
        """Nothing was sent yet, so both refusals are safe to try again, for writes too."""
        if self.request.not_after is not None and time.monotonic() >= self.request.not_after:
            raise TransientError("The call was not begun: its time had passed.", code="NOT_AFTER_PASSED")
        try:
            self.call.remaining()
        except TimeoutError as error:
            detail = f"{self.target.host} was connected to only when the call's time was over."
            raise TransientError(detail, code="CONNECT_TIMED_OUT") from error

    def _failure(self, error: Exception, raw: HTTPResponse | None) -> LineshaftError:
        status = raw.status if raw else None
        return talk_failure(error, self.target.host, is_write=self.request.is_write, status=status)


def _close(connection: HTTPConnection, raw: HTTPResponse | None) -> None:
    connection.close()
    if raw is not None:
        raw.close()
