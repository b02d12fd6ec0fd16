"""requests, as the door uses it: a session with one adapter of ours, which hands out pinned connections."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

from core.http.body import read_body
from core.http.exchange import Exchange
from core.http.failures import WIRE_ERRORS
from core.http.kept import MAX_KEPT
from core.http.pinned import Line, Pinned, PinnedTls, StaleConnectionError
from core.http.redirects import is_redirect
from core.http.transport import Route


@dataclass(frozen=True)
class Answer:
    """What came back; the body of a redirect is not read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Sends one exchange at a time through requests."""

    def __init__(self, route: Route) -> None:
        self._line = Line(route)
        self._session = _Session(Adapter(self._line))

    def close(self) -> None:
        """Close the kept connections; the client may be used again."""
        self._session.close()

    def send(self, exchange: Exchange) -> Answer:
        """One answer; a read that meets a connection gone stale is sent once more on a new one.

        Errors: as `Door.send`.
        """
        self._line.exchange = exchange
        try:
            with suppress(StaleConnectionError):
                return self._send(exchange)
            return self._send(exchange)
        finally:
            del self._line.exchange

    def _send(self, exchange: Exchange) -> Answer:
        status = None
        try:
            # `proxies` is given so that requests does not look for any; the adapter would ignore them. Closing the
            # response closes the connection only when the answer was not read to its end.
            with self._session.send(exchange.prepared(), stream=True, allow_redirects=False, proxies={}) as response:
                status, headers = response.status_code, response.headers
                body = b"" if is_redirect(status, headers) else read_body(response.raw, exchange.request.max_bytes)
                return Answer(status, headers, body)
        except WIRE_ERRORS as error:
            failure = exchange.failure(error, status)
            if failure is error:
                raise
            raise failure from error


class _Session(requests.Session):
    """Knows no way out but `adapter`, and nothing of the environment, cookies or redirects."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.adapters.clear()
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: even when told not to follow, requests would read the whole body of a redirect into memory."""


class Adapter(HTTPAdapter):
    """Takes connections from `_Pools`. Certificates are the business of the route's context, proxies of the route."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        self.poolmanager = self._pools = _Pools(self._line)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        target = self._line.exchange.target
        return self._pools.connection_from_host(target.url_host, target.port, target.scheme)

    def cert_verify(self, *args: Any, **options: Any) -> None:
        """Nothing: requests would set its own authorities on the connection."""

    def request_url(self, *args: Any, **options: Any) -> str:
        """A stand-in: urllib3 quotes what it is given anew, logs it and puts it into errors."""
        return "/"


class _Pools(PoolManager):
    """A pool of one connection for each origin."""

    def __init__(self, line: Line) -> None:
        super().__init__(num_pools=MAX_KEPT)
        self._line = line

    def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> HTTPConnectionPool:
        if scheme == "https":
            return _TlsPool(host, port, line=self._line, ssl_context=self._line.route.context)
        return _Pool(host, port, line=self._line)


class _Pool(HTTPConnectionPool):
    ConnectionCls = Pinned


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = PinnedTls
