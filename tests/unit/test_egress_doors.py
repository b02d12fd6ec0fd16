"""The hostile corpus at every door by which a typed address comes in: none leads to a single connection.

The doors: redirects, the token endpoints of OAuth and of sign-ins, Link, connections by API, raw calls, and steps of
flows.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django_scopes import scope

from connections.models import Connection
from connections.services import linking, pass_through
from connections.services.opening import open_door
from connections.services.passthrough import RawCall
from core.errors import LineshaftError, ValidationFailedError
from core.http import Door, Request, connection_policy
from flows.engine.handlers import HANDLERS
from integrations.sdk.declarations import Url
from integrations.sdk.oauth import OAuthClient, client_credentials, exchange_code, refresh
from integrations.sdk.sessions import sign_in
from tests.connectors import SLUG, connect, erp_connector  # noqa: F401
from tests.flow_turns import flow_of, held_turn
from tests.hostile_urls import SCRIPTED, hostile_urls
from tests.http_peer import LOOPBACK, Peer, always, message, peer
from tests.oauth.connector import OAuthErp, ServiceErp, SessionErp
from tests.tenants import api, make_token, make_workspace

NAMES = SCRIPTED | {name: [LOOPBACK] for name in ("localhost", "LOCALHOST", "localhost.", "public.example")}


@dataclass
class Watch:
    """Listens where the corpus leads, answers its names, and notes every connection that anything begins."""

    listener: Peer
    begun: list[Any] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return hostile_urls(self.listener.port)

    def nobody_called(self) -> bool:
        return self.listener.accepted == 0 and self.begun == []


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Watch]:
    settings.EGRESS_ALLOWED_NETWORKS = []
    look_up, dial = socket.getaddrinfo, socket.socket.connect
    with peer(always(message())) as listener:
        watched = Watch(listener)

        def scripted(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            if host in NAMES:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in NAMES[host]]
            return look_up(host, port, *more, **{**options, "flags": socket.AI_NUMERICHOST})

        own = urlsplit(settings.REDIS_URL).port

        def noted(self: socket.socket, address: Any) -> None:
            if self.family in (socket.AF_INET, socket.AF_INET6) and address[1] != own:
                watched.begun.append(address)
            dial(self, address)

        monkeypatch.setattr(socket, "getaddrinfo", scripted)
        monkeypatch.setattr(socket.socket, "connect", noted)
        yield watched


def refused(act: Callable[[str], Any], urls: list[str]) -> list[str]:
    """Those that were not refused."""
    through = []
    for url in urls:
        try:
            act(url)
        except LineshaftError:
            continue
        through.append(url)
    return through


def test_watch_sees_a_connection(watch: Watch) -> None:
    with Door(connection_policy(["127.0.0.0/8"])) as door:
        door.send(Request("GET", watch.listener.url()))
    assert not watch.nobody_called() and watch.listener.accepted == 1 and len(watch.begun) == 1


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect"])
def test_redirect_to_any_of_them_is_not_followed(watch: Watch, status: str) -> None:
    """From a server that may be called."""
    urls = [url for url in watch.urls if not {*"\r\n\x00"} & {*url}]  # these end a header
    leads_to = ""

    def away(request: Any, sock: socket.socket) -> bool:
        """What leads to a path of the server itself ends there."""
        sock.sendall(message(b"", status, Location=leads_to) if request.path == "/" else message())
        return False

    with peer(away) as server, Door(connection_policy([f"{LOOPBACK}/32"])) as door:

        def send(url: str) -> None:
            nonlocal leads_to
            leads_to = url
            assert urlsplit(door.send(Request("GET", server.url(), total_timeout=5)).url).port == server.port

        refused(send, urls)
        assert {address[1] for address in watch.begun} == {server.port} and watch.listener.accepted == 0


CLIENT = OAuthClient("id", "a client's secret", "https://lineshaft.example/link/oauth/callback")
ENDPOINTS: dict[str, Callable[[str, Door], Any]] = {
    "code": lambda url, door: exchange_code(
        OAuthErp.auth, {"base_url": url}, CLIENT, door, code="c" * 20, verifier="v" * 43
    ),
    "refresh": lambda url, door: refresh(OAuthErp.auth, {"base_url": url}, CLIENT, door, refresh_token="r" * 20),
    "client credentials": lambda url, door: client_credentials(
        ServiceErp.auth, {"base_url": url, "client_id": "id"}, {"client_secret": "s" * 20}, door
    ),
    "session": lambda url, door: sign_in(SessionErp.auth, {"base_url": url, "user": "u"}, {"password": "p" * 20}, door),
}


@pytest.mark.parametrize("endpoint", list(ENDPOINTS))
def test_token_endpoint_at_any_of_them_is_never_asked(watch: Watch, endpoint: str) -> None:
    with open_door() as door:
        through = refused(lambda url: ENDPOINTS[endpoint](url.rstrip("/"), door), watch.urls)
    assert through == [] and watch.nobody_called()


@pytest.mark.django_db
@pytest.mark.parametrize("system", [SLUG, "session-erp", "oauth-erp"])
def test_link_with_any_of_them_typed_reaches_nobody(
    watch: Watch, erp_connector: Any, settings: Any, system: str
) -> None:
    """What the form takes is tried out and fails; nothing that was typed is kept."""
    settings.CONNECTORS = [*settings.CONNECTORS, "tests.oauth.connector.SessionErp", "tests.oauth.connector.OAuthErp"]
    workspace = make_workspace()
    with scope(workspace=workspace.pk):
        _, token = linking.create_link_session(workspace=workspace, environment="live", created_by="test")
        session = linking.find_session(token)
        browser = linking.begin(session, None)
        linking.choose_system(session, system)

        def type_in(url: str) -> None:
            if system == "oauth-erp":
                linking.start_oauth(session, {"base_url": url}, browser)
                return
            given = {"user": "u"} if system == "session-erp" else {}
            secret = "password" if system == "session-erp" else "api_key"
            outcome = linking.submit(session, {"base_url": url, **given}, {secret: "s" * 20})
            if not outcome.ok:
                raise ValidationFailedError("It did not work.")

        through = refused(type_in, watch.urls)
        assert through == [] and watch.nobody_called()
        assert not session.secrets.exists() and not Connection.objects.exists()


@pytest.mark.django_db
def test_connection_with_any_of_them_never_becomes_active(watch: Watch, erp_connector: Any) -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])
    statuses = set()
    for url in watch.urls:
        body = {"system": SLUG, "name": "Plant", "config": {"base_url": url}, "secrets": {"api_key": "s" * 20}}
        answer = client.post("/api/v1/connections", body, content_type="application/json")
        statuses.add((answer.status_code, answer.json().get("status") if answer.status_code == 201 else ""))
    assert statuses <= {(201, "pending"), (422, ""), (400, "")} and watch.nobody_called()
    with scope(workspace=workspace.pk):
        assert not Connection.objects.exclude(health="pending").exists()


@pytest.mark.django_db
def test_raw_call_by_a_connection_whose_name_leads_inside_reaches_nobody(watch: Watch, erp_connector: Any) -> None:
    """The address was judged when it was entered; its name may mean another place by now."""
    connection = _connected(f"http://inside.example:{watch.listener.port}")
    paths = [
        "/orders",
        "//127.0.0.1/orders",
        "/@127.0.0.1/",
        f"http://127.0.0.1:{watch.listener.port}/",
        "/..//x",
        *watch.urls,
    ]
    with scope(workspace=connection.workspace_id):
        through = refused(lambda path: pass_through(connection, RawCall("GET", path), by="test"), paths)
    assert through == [] and watch.nobody_called()


@pytest.mark.django_db
def test_raw_call_cannot_lead_away_from_its_connection(watch: Watch, erp_connector: Any, settings: Any) -> None:
    """From a system that may be called, with each of the corpus as the path."""
    settings.EGRESS_ALLOWED_NETWORKS = [f"{LOOPBACK}/32"]
    with peer(always(message())) as system:
        connection = _connected(system.url("").rstrip("/"))
        with scope(workspace=connection.workspace_id):
            for path in watch.urls:
                refused(lambda path: pass_through(connection, RawCall("GET", path), by="test"), [path, f"/{path}"])
        assert {address[1] for address in watch.begun} <= {system.port}
    assert watch.listener.accepted == 0


@pytest.mark.django_db
@pytest.mark.parametrize("environment", ["live", "test"])
def test_flow_whose_request_leads_to_any_of_them_reaches_nobody(watch: Watch, environment: str) -> None:
    """In the environment `test` too, as long as the operator lists no network."""
    ask = {"name": "ask", "do": "http_request", "url": {"$": "trigger.body"}}
    flow = flow_of(ask, workspace=make_workspace(), environment=environment)
    with scope(workspace=flow.workspace_id):
        through = refused(lambda url: HANDLERS["http_request"](held_turn(flow, {"url": url})), watch.urls)
    assert through == [] and watch.nobody_called()


def _connected(base_url: str) -> Connection:
    server: Any = SimpleNamespace(base_url=base_url)
    return connect(server, passthrough_shared=True)


def test_every_setting_that_is_an_address_is_a_door_of_these() -> None:
    """`Url` is the one kind of setting that leads anywhere."""
    assert Url("base_url").is_host
