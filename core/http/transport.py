"""Sockets to judged addresses only: a name is resolved once, every address checked, and that address dialled."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import ExitStack, closing
from dataclasses import dataclass

from core.errors import ConfigError, EgressDeniedError, LineshaftError, TransientError, UnreachableError
from core.http.failures import connect_failure
from core.http.policy import EgressPolicy
from core.http.resolver import lookup, resolve_allowed
from core.http.sockets import Call, TimedSocket
from core.http.urls import Proxy, Target

LOOKUP_BEHIND_PROXY_SECONDS = 2.0


@dataclass(frozen=True)
class Route:
    """How a target is reached. With a proxy, the proxy's address is pinned and judged; see `check_behind_proxy`."""

    policy: EgressPolicy
    context: ssl.SSLContext
    proxy: Proxy | None = None

    def dial(self, target: Target, call: Call) -> TimedSocket:
        """An open socket to `target`; with a proxy and https, to it through a tunnel.

        Errors: EgressDeniedError, UnreachableError, ConfigError for the proxy's password; OSError as it came.
        """
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
    authority = f"{target.url_host}:{target.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
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
