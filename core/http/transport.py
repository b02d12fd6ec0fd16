"""Connections to judged addresses only: a name is resolved once, every address checked, and that address dialled.

urllib3 does the talking. Its connection is given the original name, so the Host header (with port), SNI and the check
of the certificate stay as they are; only the socket underneath comes from here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.errors import ConfigError, EgressDeniedError, LineshaftError, TransientError, UnreachableError
from core.http.failures import connect_failure
from core.http.policy import EgressPolicy
from core.http.resolver import lookup, resolve_allowed
from core.http.sockets import Call, TimedSocket
from core.http.urls import Proxy, Target

LOOKUP_BEHIND_PROXY_SECONDS = 2.0


class _Pinned(HTTPConnection):
    """Takes its socket from `dial` instead of resolving the host itself."""

    dial: Callable[[], TimedSocket]

    def _new_conn(self) -> socket.socket:
        return self.dial()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        # urllib3 logs this URL when an answer's headers are malformed, and a query may hold a key.
        if self._response_options is not None:
            self._response_options = self._response_options._replace(request_url="")
        return super().getresponse()


class _PinnedTls(_Pinned, HTTPSConnection):
    pass


@dataclass(frozen=True)
class Route:
    """How a target is reached. With a proxy, the proxy's address is pinned and judged; see `check_behind_proxy`."""

    policy: EgressPolicy
    context: ssl.SSLContext
    proxy: Proxy | None = None

    def connect(self, target: Target, call: Call, connect_timeout: float) -> HTTPConnection:
        """An open connection, TLS included, made within `connect_timeout` seconds and the call's limit.

        Errors: EgressDeniedError, UnreachableError, TlsError, TransientError CONNECT_TIMED_OUT.
        """
        call.limit_phase(connect_timeout)
        call.expect_headers(True)
        connection = self._connection(target, call)
        try:
            connection.connect()
            return connection
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise connect_failure(error, target.host) from error
        except BaseException:
            connection.close()
            raise
        finally:
            call.expect_headers(False)
            call.limit_phase(None)

    def _connection(self, target: Target, call: Call) -> HTTPConnection:
        connection: _Pinned
        if target.scheme == "https":
            connection = _PinnedTls(target.host, target.port, timeout=None, ssl_context=self.context)
        else:
            connection = _Pinned(target.host, target.port, timeout=None)
        connection.dial = partial(self._dial, target, call)
        return connection

    def _dial(self, target: Target, call: Call) -> TimedSocket:
        if self.proxy:
            return self._dial_through(self.proxy, target, call)
        addresses = resolve_allowed(self.policy, target.host, target.port, call.remaining())
        return _connect_to(addresses, target.port, call)

    def _dial_through(self, proxy: Proxy, target: Target, call: Call) -> TimedSocket:
        check_behind_proxy(self.policy, target, call)
        try:
            addresses = resolve_allowed(self.policy, proxy.host, proxy.port, call.remaining())
            sock = _connect_to(addresses, proxy.port, call)
        except OSError as error:
            raise connect_failure(error, f"the proxy {proxy.host}") from error
        if target.scheme == "https":
            _open_tunnel(sock, target, proxy)
        return sock


def check_behind_proxy(policy: EgressPolicy, target: Target, call: Call) -> None:
    """Judge a target that a proxy will resolve.

    Numeric hosts, in any notation, are judged as without a proxy. A name is judged by what the local DNS says, when it
    says anything within two seconds; a name it does not know is left to the proxy, whose own rules then decide, and so
    is what the name means there. The names of metadata services are refused in any case.
    """
    policy.check_name(target.host)
    try:
        addresses = lookup(target.host, target.port, min(call.remaining(), LOOKUP_BEHIND_PROXY_SECONDS))
    except TransientError:
        # Usual behind a proxy: the machine's DNS knows the inside only.
        return
    policy.check_addresses(target.host, addresses)


def _connect_to(addresses: tuple[str, ...], port: int, call: Call) -> TimedSocket:
    """A socket to the first address that accepts; each gets its share of the time that is left."""
    failure: OSError = OSError("the name has no address")
    for index, address in enumerate(addresses):
        sock = TimedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.call = call
        with ExitStack() as unless_connected:
            unless_connected.callback(sock.close)
            try:
                sock.settimeout(call.remaining() / (len(addresses) - index))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect((address, port))
            except OSError as error:
                failure = error
                continue
            unless_connected.pop_all()
            return sock
    raise failure


def _open_tunnel(sock: TimedSocket, target: Target, proxy: Proxy) -> None:
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"CONNECT {host}:{target.port} HTTP/1.1", f"Host: {host}:{target.port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        with closing(http.client.HTTPResponse(sock, method="CONNECT")) as answer:
            answer.begin()
        if answer.status != http.HTTPStatus.OK:
            raise _tunnel_refused(answer.status, target, proxy)
    except BaseException:
        sock.close()
        raise


def _tunnel_refused(status: int, target: Target, proxy: Proxy) -> LineshaftError:
    if status == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        detail = f"The proxy {proxy.host} asks for a user and password: set them in the connection's proxy address."
        return ConfigError(detail, code="PROXY_AUTHENTICATION_FAILED")
    if status == http.HTTPStatus.FORBIDDEN:
        return EgressDeniedError(f"The proxy {proxy.host} does not allow calls to {target.host}.", code="PROXY_REFUSED")
    detail = f"The proxy {proxy.host} could not reach {target.host} (status {status})."
    return UnreachableError(detail, code="PROXY_FAILED")
