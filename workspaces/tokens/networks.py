"""Where a token may be used from."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

MAX_NETWORKS = 50


def address_from(text: str | None) -> IPv4Address | IPv6Address | None:
    """An IP address, IPv4 also where it was written as IPv6; None for anything else, such as a socket's path."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def may_come_from(address: str | None, networks: list[str]) -> bool:
    """Whether a caller is in one of the networks; an unknown caller is in none, and no networks are all of them."""
    if not networks:
        return True
    caller = address_from(address)
    return caller is not None and any(caller in ip_network(network) for network in networks)


def covers(outer: Iterable[str], inner: str) -> bool:
    """Whether a CIDR network lies within one of `outer`."""
    network = ip_network(inner)
    return any(_within(network, ip_network(candidate)) for candidate in outer)


def _within(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.subnet_of(outer))
