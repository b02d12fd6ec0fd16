"""Where calls may go: the hostile corpus, the operator's networks, names that change their address."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import ConfigError, EgressDeniedError, TransientError, UnreachableError
from core.http import Door, EgressPolicy, Request, Response, connection_policy, resolver, webhook_policy
from tests.hostile_urls import LITERALS, SCRIPTED, hostile_urls
from tests.http_peer import always, message, peer

LOCAL = connection_policy(["127.0.0.0/8"])
REAL_LOOKUP = socket.getaddrinfo


def scripted(*rounds: dict[str, list[str]]) -> tuple[Callable[..., list[Any]], list[str]]:
    """A resolver that gives each name the addresses of the first round, then of the second, and so on;
    and the list of the names it was asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        answers = rounds[min(asked.count(host), len(rounds) - 1)]
        asked.append(host)
        if host not in answers:
            return REAL_LOOKUP(host, port, flags=socket.AI_NUMERICHOST, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[host]]

    return getaddrinfo, asked


def get(door: Door, url: str, *, connect_timeout: float = 5) -> Response:
    return door.send(Request("GET", url, total_timeout=5, connect_timeout=connect_timeout))


@pytest.fixture(scope="module")
def listener():
    with peer(always(message())) as server:
        yield server


@pytest.mark.parametrize("number", range(len(LITERALS) + len(SCRIPTED)), ids=[*map(ascii, LITERALS), *SCRIPTED])
def test_hostile_address_is_refused_without_a_connection(number, listener, monkeypatch):
    names = {name: ["127.0.0.1"] for name in ("localhost", "LOCALHOST", "localhost.")}
    monkeypatch.setattr(socket, "getaddrinfo", scripted(SCRIPTED | names | {"public.example": ["127.0.0.1"]})[0])
    before = listener.accepted
    with Door(connection_policy()) as door, pytest.raises((ConfigError, UnreachableError)) as raised:
        get(door, hostile_urls(listener.port)[number])
    assert raised.value.code in ("EGRESS_DENIED", "URL_REFUSED", "NAME_NOT_FOUND")
    assert listener.accepted == before


def test_corpus_is_as_large_as_promised():
    assert len(hostile_urls(1)) == len(set(hostile_urls(1))) > 100


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.0.9", "private"),
        ("fd12::1", "private"),
        ("100.64.1.1", "carrier-grade NAT"),
        ("64:ff9b:1:a9fe:a9:fe00:808:808", "local NAT64"),
        ("240.1.1.1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_refusal_names_host_kind_and_setting_but_not_the_address(address, kind):
    with pytest.raises(EgressDeniedError) as raised:
        connection_policy().check_addresses("erp.example", [address])
    assert "erp.example" in raised.value.detail
    assert f"{kind} address" in raised.value.detail
    assert "EGRESS_ALLOWED_NETWORKS" in raised.value.detail
    assert address not in raised.value.detail
    assert address in raised.value.log_detail


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.3.3",
        "fe80::5",
        "224.0.0.5",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_never_list_wins_over_the_operators_networks(address):
    with pytest.raises(EgressDeniedError, match="never called"):
        connection_policy(["0.0.0.0/0", "::/0"]).check_addresses("h.example", [address])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b:1::10.1.2.3", "10.0.0.0/8"),
        ("2002:a01:203::9", "10.0.0.0/8"),
        ("fd12:3456::9", "fd12:3456::/32"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_operators_network_opens_an_address(address, network):
    connection_policy([network]).check_addresses("h.example", [address])
    with pytest.raises(EgressDeniedError):
        connection_policy().check_addresses("h.example", [address])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
)
def test_public_address_is_allowed(address):
    connection_policy().check_addresses("h.example", [address])
    webhook_policy().check_addresses("h.example", [address])


def test_network_that_cannot_be_read_is_named():
    with pytest.raises(ConfigError, match=r"EGRESS_ALLOWED_NETWORKS: '10\.0\.0\.1/8'"):
        connection_policy(["10.0.0.1/8"])


def test_webhook_goes_by_https_to_public_addresses_only():
    with Door(webhook_policy()) as door:
        with pytest.raises(EgressDeniedError, match="needs https://"):
            get(door, "http://93.184.216.34/")
        with pytest.raises(EgressDeniedError, match="public addresses only"):
            get(door, "https://127.0.0.1/")


def test_allowed_network_is_called_and_host_header_keeps_name_and_port(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", scripted({"erp.example": ["127.0.0.1"]})[0])
    with peer(always(message())) as server, Door(LOCAL) as door:
        assert get(door, server.url("/x?y=1", host="ERP.example")).json() == {"ok": True}
    assert server.received[0].headers["host"] == f"erp.example:{server.port}"
    assert server.received[0].path == "/x?y=1"


def test_international_name_is_resolved_in_ascii(monkeypatch):
    resolve, asked = scripted({"xn--mnchen-3ya.example": ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(always(message())) as server, Door(LOCAL) as door:
        get(door, server.url(host="MÜNCHEN.example"))
    assert asked == ["xn--mnchen-3ya.example"]


def test_rebinding_name_is_resolved_once_and_the_pinned_address_is_dialled(monkeypatch):
    """First answer allowed, second denied: whoever resolved twice would reach the second."""
    resolve, asked = scripted({"turns.example": ["127.0.0.1"]}, {"turns.example": ["169.254.169.254"]})
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(always(message(), stays=False)) as server, Door(LOCAL) as door:
        assert get(door, server.url(host="turns.example")).status == 200
        assert asked == ["turns.example"]
        with pytest.raises(EgressDeniedError, match="cloud metadata"):
            get(door, server.url(host="turns.example"))
    assert server.accepted == 1


def test_second_address_is_tried_when_the_first_does_not_accept(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", scripted({"two.example": ["127.0.0.9", "127.0.0.1"]})[0])
    with peer(always(message())) as server, Door(LOCAL) as door:
        assert get(door, server.url(host="two.example")).status == 200


def test_unknown_name_is_said(monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with Door(LOCAL) as door, pytest.raises(UnreachableError, match=r"nowhere\.example is not known") as raised:
        get(door, "http://nowhere.example/")
    assert raised.value.code == "NAME_NOT_FOUND"
    assert isinstance(raised.value.__cause__, socket.gaierror)


def test_hanging_lookup_ends_with_the_time_limit(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: release.wait(20) and [])
    try:
        with Door(LOCAL) as door, pytest.raises(TransientError) as raised:
            get(door, "http://slow.example/", connect_timeout=0.2)
    finally:
        release.set()
    assert raised.value.code == "NAME_TIMED_OUT"


def test_hanging_lookups_are_bounded(monkeypatch):
    monkeypatch.setattr(resolver, "_slots", threading.BoundedSemaphore(1))
    resolver._slots.acquire()
    with pytest.raises(TransientError) as raised:
        resolver.lookup("any.example", 80, 0.05)
    assert raised.value.code == "NAME_TIMED_OUT"


def test_refused_connection_is_said():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Door(LOCAL) as door, pytest.raises(UnreachableError, match="refused the connection") as raised:
        get(door, f"http://127.0.0.1:{port}/")
    assert raised.value.code == "CONNECTION_REFUSED"
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)


def test_policy_of_ones_own_is_obeyed():
    policy = EgressPolicy("probe", LOCAL.allowed_networks, frozenset({"https"}))
    with Door(policy) as door, pytest.raises(EgressDeniedError, match="a probe call needs https"):
        get(door, "http://127.0.0.1/")
