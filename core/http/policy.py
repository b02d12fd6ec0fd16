"""Which addresses may be called. Both transports (calls and bulk deliveries) ask the same policy object.

Order of judgement: the never-list first (no setting opens it), then public or inside the operator's networks.
An address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo) is judged by what it carries.
Source of the tables: the IANA special-purpose address registries, and the cloud vendors' metadata pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from core.errors import ConfigError, EgressDeniedError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CONNECTION_SETTING = "EGRESS_ALLOWED_NETWORKS"


def _table(text: str) -> tuple[tuple[Network, str], ...]:
    rows = (line.split(maxsplit=1) for line in text.strip().splitlines())
    return tuple((ip_network(network), kind) for network, kind in rows)


NEVER = _table("""
169.254.169.254/32  cloud metadata
169.254.170.2/32    cloud metadata
169.254.170.23/32   cloud metadata
100.100.100.200/32  cloud metadata
168.63.129.16/32    cloud metadata
192.0.0.192/32      cloud metadata
fd00:ec2::/32       cloud metadata
fd20:ce::254/128    cloud metadata
fd00:42::42/128     cloud metadata
169.254.0.0/16      link-local
fe80::/10           link-local
224.0.0.0/4         multicast
ff00::/8            multicast
0.0.0.0/8           unspecified
::/128              unspecified
255.255.255.255/32  broadcast
""")

NOT_PUBLIC = _table("""
127.0.0.0/8         loopback
::1/128             loopback
10.0.0.0/8          private
172.16.0.0/12       private
192.168.0.0/16      private
fc00::/7            private
fec0::/10           private
100.64.0.0/10       carrier-grade NAT
192.0.0.0/24        reserved
192.0.2.0/24        documentation
198.51.100.0/24     documentation
203.0.113.0/24      documentation
2001:db8::/32       documentation
3fff::/20           documentation
198.18.0.0/15       benchmarking
2001:2::/48         benchmarking
192.88.99.0/24      reserved
2001::/23           reserved
240.0.0.0/4         reserved
64:ff9b:1::/48      local NAT64
""")

# Names that only a proxy would resolve, so that no address of theirs is ever seen here.
NEVER_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_LAST_32_BITS = 0xFFFF_FFFF


@dataclass(frozen=True)
class EgressPolicy:
    """What may be called. `setting` names the setting that opens more networks; empty when none does."""

    name: str
    allowed_networks: tuple[Network, ...]
    schemes: frozenset[str]
    setting: str = ""

    def check_scheme(self, scheme: str, host: str) -> None:
        """Errors: EgressDeniedError when calls of this kind may not use `scheme`."""
        if scheme not in self.schemes:
            allowed = " or ".join(sorted(self.schemes))
            raise EgressDeniedError(f"{host} is addressed with {scheme}://; a {self.name} call needs {allowed}://.")

    def check_name(self, host: str) -> None:
        """Refuse the names of cloud metadata services, for calls whose name a proxy resolves."""
        if host.rstrip(".").lower() in NEVER_NAMES:
            raise EgressDeniedError(f"{host} is a cloud metadata name, which is never called, whatever settings say.")

    def check_addresses(self, host: str, addresses: Iterable[str]) -> None:
        """Refuse `host` when any one of its addresses is denied: a name that mixes good and bad ones is a trick.

        Errors: EgressDeniedError naming host, kind of address and setting; the address itself is for the log only.
        """
        for text in addresses:
            address = ip_address(text)
            if kind := _listed(NEVER, (address, *_carried(address))):
                raise self._denied(host, kind, text, "which is never called, whatever the settings allow")
            for judged in _carried(address) or (address,):
                if not _is_public(judged) and not self._is_allowed(judged):
                    raise self._denied(host, _listed(NOT_PUBLIC, (judged,)) or "reserved", text, self._way_out())

    def _is_allowed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.allowed_networks)

    def _way_out(self) -> str:
        if not self.setting:
            return f"and a {self.name} call goes to public addresses only"
        return f"which is refused unless the operator lists its network in {self.setting}"

    def _denied(self, host: str, kind: str, address: str, reason: str) -> EgressDeniedError:
        article = "an" if kind[0] in "aeiou" else "a"
        return EgressDeniedError(
            f"{host} is at {article} {kind} address, {reason}.",
            log_detail=f"policy {self.name}: {host} resolved to {address} ({kind})",
            extra={"host": host, "kind": kind, "setting": self.setting},
        )


def connection_policy(allowed_networks: Iterable[str] = ()) -> EgressPolicy:
    """Calls to customers' systems: http and https, public addresses and the operator's networks (CIDR texts).

    Errors: ConfigError naming the network that cannot be read.
    """
    networks = tuple(_network(text) for text in allowed_networks)
    return EgressPolicy("connection", networks, frozenset({"http", "https"}), CONNECTION_SETTING)


def webhook_policy() -> EgressPolicy:
    """Calls to addresses typed by developers: https to public addresses, and no setting opens more."""
    return EgressPolicy("webhook", (), frozenset({"https"}))


def webhook_policy_in_test(allowed_networks: Iterable[str] = ()) -> EgressPolicy:
    """The same in the environment `test`: also http, and the operator's networks, where developers try things out.

    Errors: ConfigError naming the network that cannot be read.
    """
    networks = tuple(_network(text) for text in allowed_networks)
    return EgressPolicy("webhook", networks, frozenset({"http", "https"}), CONNECTION_SETTING)


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ConfigError(f"{CONNECTION_SETTING}: {text!r} is not a network such as 10.20.0.0/16 ({error}).") from error


def _listed(table: tuple[tuple[Network, str], ...], addresses: Iterable[Address]) -> str | None:
    """The kind of the first of `addresses` that the table lists."""
    for address in addresses:
        for network, kind in table:
            if address.version == network.version and address in network:
                return kind
    return None


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    # Both tables and Python's own: `is_global` differs between Python releases.
    return address.is_global and _listed(NOT_PUBLIC, (address,)) is None


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that packets to this address finally reach; empty when it carries none."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    last = IPv4Address(int(address) & _LAST_32_BITS)
    if address in _NAT64:
        return (last,)
    # RFC 8215 leaves the layout to the site. Only the common one (/96) is readable; anything in the bits that another
    # layout would use makes the address count as non-public itself.
    if address in _NAT64_LOCAL and (int(address) >> 32) & _LAST_32_BITS == 0:
        return (last,)
    return ()
