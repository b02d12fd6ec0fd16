"""Which redirects are followed: to the same server only, and never for writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urljoin

from core.errors import ConfigError, TimeoutUnknownError
from core.http.messages import Outgoing
from core.http.urls import Target, parse_target

MAX_REDIRECTS = 5
SEE_OTHER = 303
REDIRECTS = frozenset({301, 302, SEE_OTHER, 307, 308})


def is_redirect(status: int, headers: Mapping[str, str]) -> bool:
    return status in REDIRECTS and "location" in headers


def next_target(target: Target, location: str, *, status: int, is_write: bool) -> Target:
    """Where `location` leads, when that is the same scheme, host and port, or https on the same host.

    Errors: ConfigError REDIRECT_REFUSED naming the host it leads to. A write is never sent again; one that was answered
    with 303 "see other" may have been done: TimeoutUnknownError.
    """
    try:
        address = urljoin(target.url, location)
    except ValueError as error:  # such as a broken IPv6 address
        raise refused(target, "where it leads to is no address") from error
    following = parse_target(address)
    if is_write and status == SEE_OTHER:
        detail = f"{target.host} answered a write with a redirect (303): look up whether it was done."
        raise TimeoutUnknownError(detail)
    if is_write:
        raise refused(target, f"a write is redirected to {following.host}")
    is_upgrade = (target.scheme, following.scheme) == ("http", "https") and target.host == following.host
    if following.origin != target.origin and not is_upgrade:
        raise refused(target, f"it leads to {following.scheme}://{following.authority}")
    return following


def next_outgoing(sent: Outgoing, status: int) -> Outgoing:
    """The request for the next address: the same again, after "see other" a GET without body."""
    if status != SEE_OTHER or sent.method == "HEAD":
        return sent
    headers = {name: value for name, value in sent.headers.items() if name.lower() != "content-type"}
    return replace(sent, method="GET", headers=headers, body=None)


def refused(target: Target, reason: str) -> ConfigError:
    detail = f"{target.host} redirects, and {reason}: set the connection's address to where the system really is."
    return ConfigError(detail, code="REDIRECT_REFUSED")
