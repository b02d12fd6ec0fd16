"""Raw calls: what goes out, what comes back, what is refused, and what they tell about the connection."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential, UpstreamCall
from connections.services import passthrough
from core.errors import ValidationFailedError
from core.keys import default_ring
from integrations.protocols.jsonrpc import JsonRpcConnector
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Limits, Secret, Text, Url
from integrations.sdk.raw_calls import address_below
from tests.connectors import API_KEY, TestErp, connect, erp_connector  # noqa: F401
from tests.documents import code_of
from tests.http_peer import Peer, Received, message, peer
from tests.tenants import api, make_token
from workspaces.choices import Scope

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/passthrough"
READ, WRITE = Scope.PASSTHROUGH_READ, Scope.PASSTHROUGH_WRITE
PASSWORD, SESSION = "correct horse, battery", "5f2c-session-77aa"


class World:
    """A system that answers what the test says, a connection to it, and a caller."""

    def __init__(self) -> None:
        self.answer: Callable[[Received], bytes] = lambda request: message(b'{"ok": true}')
        self.peer = Peer(self._serve)
        self.connection = connect(SimpleNamespace(base_url=self.peer.url("/api")))  # type: ignore[arg-type]

    def _serve(self, request: Received, sock: socket.socket) -> bool:
        data = self.answer(request)
        sock.sendall(data)
        return bool(data)

    @property
    def received(self) -> list[Received]:
        return self.peer.received

    def send(self, *scopes: str, **call: Any) -> Any:
        """The caller's answer, with a connection token."""
        clear = make_token(self.connection.workspace, scopes=scopes or (WRITE,), connection_id=self.connection.pk)[1]
        return api(clear).post(ADDRESS, {"method": "GET", "path": "/meters", **call}, content_type="application/json")

    def ok(self, *scopes: str, **call: Any) -> Any:
        response = self.send(*scopes, **call)
        assert response.status_code == 200, response.content
        return response.json()

    def refused(self, *scopes: str, **call: Any) -> tuple[int, str]:
        response = self.send(*scopes, **call)
        assert response.status_code >= 400, response.content
        return response.status_code, response.json()["code"]

    @property
    def calls(self) -> list[UpstreamCall]:
        """Oldest first."""
        with scope(workspace=self.connection.workspace_id):
            return list(UpstreamCall.objects.order_by("pk"))

    def health(self) -> tuple[str, int]:
        self.connection.refresh_from_db()
        return self.connection.health, self.connection.failures_in_row

    def change(self, **values: Any) -> None:
        with scope(workspace=self.connection.workspace_id):
            Connection.objects.filter(pk=self.connection.pk).update(**values)


@pytest.fixture
def world(erp_connector: Any) -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.peer.stop()


# --- there and back -------------------------------------------------------------------------------------------------


def test_call_when_it_reads_then_it_goes_out_with_the_credential_and_comes_back_whole(world: World) -> None:
    body = b'{"items": [{"id": 17, "reading": 4711.50}], "big": 12345678901234567}'
    world.answer = lambda request: message(body, etag='"7"', set_cookie="s=1", x_request_id="r-1")
    response = world.send(READ, query={"site": "nord & süd", "n": 2, "ids": [1, 2], "all": True, "none": None})
    assert response.status_code == 200
    (sent,) = world.received
    assert (sent.method, sent.headers["x-api-key"]) == ("GET", API_KEY)
    assert sent.path == "/api/meters?site=nord%20%26%20s%C3%BCd&n=2&ids=1&ids=2&all=true"
    answer = response.json()
    assert (answer["status"], answer["encoding"]) == (200, "json")
    assert answer["headers"] == {"content-type": "application/json", "etag": '"7"', "x-request-id": "r-1"}
    assert b'"reading": 4711.50' in response.content and b"12345678901234567" in response.content


def test_call_when_it_writes_then_body_and_headers_go_out_as_given(world: World) -> None:
    world.answer = lambda request: message(b"", "204 No Content")
    headers = {"if-match": '"7"', "Content-Type": "application/merge-patch+json", "X-HTTP-Method-Override": "PATCH"}
    answer = world.ok(method="POST", path="/meters/1%2F2", headers=headers, body={"reading": "12.50", "note": None})
    assert answer == {"status": 204, "headers": {"content-type": "application/json"}, "body": None, "encoding": None}
    (sent,) = world.received
    assert (sent.path, json.loads(sent.body)) == ("/api/meters/1%2F2", {"reading": "12.50", "note": None})
    assert sent.headers["content-type"] == "application/merge-patch+json" and sent.headers["if-match"] == '"7"'
    world.ok(method="PUT", headers={"Content-Type": "text/csv; charset=utf-8"}, body="id;ü\n")
    world.ok(method="DELETE")
    world.ok(method="PUT", body=None)
    assert [each.body for each in world.received[1:]] == ["id;ü\n".encode(), b"", b"null"]


@pytest.mark.parametrize("status", ["404 Not Found", "409 Conflict", "429 Too Many Requests", "500 Oops", "401 No"])
def test_call_when_the_system_refuses_then_its_status_is_inside_ours(world: World, status: str) -> None:
    world.answer = lambda request: message(b'{"message": "no"}', status, retry_after="7")
    answer = world.ok(READ)
    assert (answer["status"], answer["body"]) == (int(status[:3]), {"message": "no"})
    assert answer["headers"]["retry-after"] == "7" and len(world.received) == 1


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"id;name\n1;Z\xc3\xa4hler\n", "text/csv", ("id;name\n1;Zähler\n", "text")),
        (b"Z\xe4hler", "text/plain; charset=latin-1", ("Zähler", "text")),
        (b'{"a": 1, "a": 2}', "application/json", ('{"a": 1, "a": 2}', "text")),
        (b'{"a": NaN}', "application/json", ('{"a": NaN}', "text")),
        (b"[" * 5000, "application/json", ("[" * 5000, "text")),
        (b'["a"]', "text/plain", (["a"], "json")),
        (b"\x89PNG\x00", "image/png", (base64.b64encode(b"\x89PNG\x00").decode(), "base64")),
        (b"", "text/plain", (None, None)),
    ],
    ids=range(8),
)
def test_answer_when_it_is_no_json_then_it_says_what_it_is(world: World, body: bytes, kind: str, expected: Any) -> None:
    world.answer = lambda request: message(body, content_type=kind)
    answer = world.ok(READ)
    assert (answer["body"], answer["encoding"]) == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"key": API_KEY, API_KEY: 1, "list": [f"x {API_KEY} y"]}).encode(), "application/json"),
        (b'{"key": "\\u0063orrect-horse-battery-staple"}', "application/json"),
        (f"key={API_KEY}".encode(), "text/plain"),
        (b"\x00\xff" + API_KEY.encode(), "application/octet-stream"),
    ],
    ids=range(4),
)
def test_answer_when_it_echoes_the_key_then_it_is_cut_everywhere(world: World, body: bytes, kind: str) -> None:
    world.answer = lambda request: message(body, content_type=kind, x_echo=f"a {API_KEY}", x_auth_token="other-1")
    answer = world.ok(READ)
    text = json.dumps(answer)
    if answer["encoding"] == "base64":
        text += base64.b64decode(answer["body"]).decode("latin-1")
    assert "horse" not in text and "[secret]" in text
    assert answer["headers"]["x-auth-token"] == "[cut]" and answer["headers"]["x-echo"] == "a [secret]"
    (call,) = world.calls
    assert "horse" not in call.response_body


def test_answer_when_the_key_is_a_number_then_numbers_are_cut_and_json_stays_json(world: World) -> None:
    with scope(workspace=world.connection.workspace_id):
        credential = Credential.objects.get(connection=world.connection)
        credential.ciphertext = default_ring().encrypt("90210", bound_to=credential.bound_to)
        credential.save()
    world.answer = lambda request: message(b'{"pin": 90210, "id": 1902101, "ok": true}')
    assert world.ok(READ)["body"] == {"pin": "[secret]", "id": 1902101, "ok": True}


def test_example_of_the_guide_is_what_happens(world: World) -> None:
    asked, answered, _ = code_of("docs/guides/passthrough.md", "json")
    world.answer = lambda request: message(b'{"items": [{"id": 17, "reading": 4711.50}]}', etag='"7"')
    assert world.ok(READ, **json.loads(asked)) == json.loads(answered)
    assert world.received[0].path == "/api/v1/meters?site=north&limit=2"


# --- who may --------------------------------------------------------------------------------------------------------


def test_scope_when_it_is_missing_then_it_is_named(world: World) -> None:
    everything_else = [scope for scope in Scope.values if not scope.startswith("passthrough")]
    for scopes, method, needed in (
        (everything_else, "GET", "passthrough:read"),
        ([READ], "POST", "passthrough:write"),
        ([READ], "DELETE", "passthrough:write"),
    ):
        refused = world.send(*scopes, method=method)
        assert (refused.status_code, refused.json()["required_scope"]) == (403, needed)
    assert world.received == [] and world.calls == []
    world.ok(WRITE, method="HEAD")


@pytest.mark.parametrize("where", ["headers", "query"])
@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "x-method-override", "X-Http-Method"])
def test_scope_to_read_cannot_be_stretched_by_another_method(world: World, where: str, name: str) -> None:
    assert world.refused(READ, **{where: {name: "DELETE"}}) == (422, "METHOD_REFUSED")
    assert world.received == []


def test_workspace_token_must_name_the_connection(world: World) -> None:
    client = api(make_token(world.connection.workspace, scopes=[READ])[1])
    body = {"method": "GET", "path": "/meters"}
    response = client.post(ADDRESS, body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "CONNECTION_REQUIRED")
    named = {"X-Connection-Id": f"con_{world.connection.pk.hex}"}
    assert client.post(ADDRESS, body, content_type="application/json", headers=named).status_code == 200


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (ConnectionStatus.DISCONNECTED, (409, "CONNECTION_DISCONNECTED")),
        (ConnectionStatus.NEEDS_REAUTH, (424, "NEEDS_REAUTH")),
    ],
)
def test_connection_when_it_cannot_be_used_then_nothing_is_sent(world: World, health: str, expected: Any) -> None:
    world.change(health=health)
    assert world.refused() == expected and world.received == []


def test_connection_when_paused_then_raw_calls_go_on(world: World) -> None:
    world.change(paused=True)
    assert world.ok()["status"] == 200


# --- where to -------------------------------------------------------------------------------------------------------

HOSTILE = [
    "http://evil.example/", "//evil.example/", "/%2Fevil.example", "\\\\evil.example", "/\\evil.example", "@evil.example/",
    ":1/", "meters", "", "/../admin", "/a/../../admin", "/..", "/.", "/%2e%2e/admin", "/%2E./admin", "/.%2e/admin",
    "/%252e%252e/admin", "/%25252e%25252e/a", "/%2525252e%2525252e/a", "/..%2fadmin", "/..%5cadmin", "/a/..;x=1/admin",
    "/..%3b/admin", "/%c0%ae%c0%ae/admin", "/\uff0e\uff0e/admin", "/%ef%bc%8e%ef%bc%8e/admin", "/a?x=1", "/a#x", "/a b",
    "/a%20b", "/a\tb", "/a%0d%0aX-Evil:1", "/a%00", "/a\u200b\x7f", "/" + "a" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
def test_path_when_it_could_lead_elsewhere_then_it_is_refused(path: str) -> None:
    for base in ("https://erp.example/api", "https://erp.example", "https://erp.example:8443/api/"):
        with pytest.raises(ValidationFailedError) as caught:
            address_below(base, path)
        assert (caught.value.code, caught.value.errors[0].pointer) == ("PATH_REFUSED", "/path")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/meters", "/v1/meters"),
        ("/meters/", "/meters/"),
        ("/", "/"),
        ("/users/anna@plant.example", "/users/anna@plant.example"),
        ("/Orders('PO-1')/$count", "/Orders('PO-1')/$count"),
        ("/a%2Fb/c..d/...", "/a%2Fb/c..d/..."),
        ("/http://evil.example/", "/http://evil.example/"),
        ("/zähler", "/z%C3%A4hler"),
    ],
)
def test_path_when_it_stays_below_then_it_is_the_address(path: str, expected: str) -> None:
    assert address_below("https://erp.example/api/", path) == f"https://erp.example/api{expected}"


def test_path_when_refused_then_no_call_is_made(world: World) -> None:
    assert world.refused(path="/../admin") == (422, "PATH_REFUSED")
    assert world.received == [] and world.health() == ("active", 0)


def test_redirect_to_another_host_is_refused(world: World) -> None:
    with peer(lambda request, sock: False) as other:
        world.answer = lambda request: message(b"", "302 Found", location=other.url("/steal"))
        assert world.refused(READ) == (422, "REDIRECT_REFUSED")
        assert other.received == []


@pytest.mark.parametrize(
    "name", ["Authorization", "Cookie", "Host", "X-Api-Key", "X-Forwarded-For", "Transfer-Encoding", "Connection"]
)
def test_header_when_not_allowed_then_it_is_refused(world: World, name: str) -> None:
    assert world.refused(headers={name: "x"}) == (422, "HEADER_REFUSED") and world.received == []


def test_header_when_its_value_breaks_the_line_then_it_is_refused(world: World) -> None:
    assert world.refused(headers={"Accept": "a\r\nX-Evil: 1"})[0] in (400, 422) and world.received == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"method": "TRACE"}, (422, "VALIDATION_FAILED")),
        ({"method": "get"}, (422, "VALIDATION_FAILED")),
        ({"paht": "/x"}, (400, "UNKNOWN_FIELD")),
        ({"query": {"a": {"b": 1}}}, (422, "VALIDATION_FAILED")),
        ({"query": {str(n): n for n in range(101)}}, (422, "VALIDATION_FAILED")),
        ({"headers": {"Accept": {"a": 1}}}, (422, "VALIDATION_FAILED")),
        ({"method": "POST", "body": "x" * (1024 * 1024)}, (413, "BODY_TOO_LARGE")),
    ],
    ids=range(7),
)
def test_call_when_it_is_wrong_then_it_is_not_made(world: World, call: dict[str, Any], expected: Any) -> None:
    assert world.refused(**call) == expected and world.received == []


# --- limits and failures --------------------------------------------------------------------------------------------


def test_answer_when_too_large_then_a_read_says_so_and_a_write_is_unknown(world: World) -> None:
    world.answer = lambda request: message(b"x" * (5 * 1024 * 1024 + 1), content_type="text/plain")
    assert world.refused(READ) == (422, "ANSWER_TOO_LARGE")
    assert world.refused(WRITE, method="POST") == (504, "OUTCOME_UNKNOWN")
    assert world.health() == ("active", 0)
    world.answer = lambda request: message(b"x" * (5 * 1024 * 1024), content_type="text/plain")
    assert len(world.ok(READ)["body"]) == 5 * 1024 * 1024


def test_write_when_the_connection_breaks_then_the_outcome_is_unknown_and_it_is_not_repeated(world: World) -> None:
    world.answer = lambda request: b""
    response = world.send(WRITE, method="POST", body={"a": 1})
    problem = response.json()
    assert (response.status_code, problem["code"], problem["retryable"]) == (504, "OUTCOME_UNKNOWN", False)
    assert len(world.received) == 1
    (call,) = world.calls
    assert (call.status, call.error_code, call.request_body) == (None, "OUTCOME_UNKNOWN", '{"a":1}')


def test_budget_when_used_up_then_429_says_how_long_to_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TestErp, "limits", Limits(per_minute=10))
    assert world.ok(READ)["status"] == 200
    response = world.send(READ)
    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert 1 <= int(response["Retry-After"]) <= 60
    assert len(world.received) == len(world.calls) == 1


def test_places_when_all_are_taken_then_429(world: World) -> None:
    taken = [passthrough._places.acquire(blocking=False) for _ in range(passthrough.AT_ONCE)]
    try:
        assert world.refused(READ) == (429, "TOO_MANY_AT_ONCE")
    finally:
        for _ in taken:
            passthrough._places.release()
    assert world.ok(READ)["status"] == 200


def test_circuit_when_the_system_is_away_then_it_opens_and_a_good_answer_closes_it(world: World) -> None:
    world.answer = lambda request: message(b"", "503 Service Unavailable")
    assert [world.ok(READ)["status"] for _ in range(5)] == [503] * 5
    assert world.health() == ("offline", 5)
    response = world.send(READ)
    assert (response.status_code, response.json()["code"]) == (503, "CONNECTION_OFFLINE")
    assert 1 <= int(response["Retry-After"]) <= 60 and len(world.received) == 5
    world.change(circuit_open_until="2026-01-01T00:00:00Z")
    world.answer = lambda request: message()
    assert world.ok(READ)["status"] == 200 and world.health() == ("offline", 0)
    assert world.ok(READ)["status"] == 200 and world.health() == ("active", 0), "two good answers in a row"


def test_system_when_it_cuts_every_call_then_that_counts_too(world: World) -> None:
    world.answer = lambda request: b""
    assert world.refused(READ)[0] == 503 and world.health() == ("active", 1)


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Oops", "429 Too Many Requests"])
def test_refusal_of_one_call_says_nothing_of_the_connection(world: World, status: str) -> None:
    world.change(failures_in_row=2)
    world.answer = lambda request: message(b"{}", status)
    world.ok(READ)
    assert world.health() == ("active", 2)


def test_every_call_is_logged_with_who_made_it(world: World) -> None:
    world.ok(READ, query={"token": "abc-123"})
    world.answer = lambda request: message(b'{"message": "no"}', "404 Not Found")
    world.ok(WRITE, method="POST", body={"number": "PO-1"})
    first, second = world.calls
    assert (first.method, first.status, first.run_id, first.operation_id) == ("GET", 200, None, None)
    assert first.triggered_by.startswith("token tok_") and first.connection_id == world.connection.pk
    assert "abc-123" not in first.url and "/api/meters?token=" in first.url
    assert (second.request_body, second.response_body) == ('{"number":"PO-1"}', '{"message": "no"}')


# --- other kinds of systems -----------------------------------------------------------------------------------------


class TestRpc(JsonRpcConnector):
    """A system of remote methods."""

    __test__ = False
    slug, title = "test-rpc", "Test RPC"
    config = (Url("base_url", help="Address"), Text("database"), Text("user"), Secret("password", help="Password"))


@pytest.fixture
def rpc(world: World, settings: Any) -> World:
    settings.CONNECTORS = ["tests.unit.test_passthrough.TestRpc"]
    base = {"base_url": world.peer.url("").rstrip("/"), "database": "plant", "user": "anna"}
    world.change(system="test-rpc", config=base)
    with scope(workspace=world.connection.workspace_id):
        credential = Credential.objects.get(connection=world.connection)
        credential.name = "password"
        credential.ciphertext = default_ring().encrypt(PASSWORD, bound_to=credential.bound_to)
        credential.save()

    def answer(request: Received) -> bytes:
        asked = json.loads(request.body)
        is_login = asked["method"] == "common.db.login"
        result = [5, SESSION] if is_login else [{"id": 1, "echo": [*asked["params"], SESSION]}]
        return message(json.dumps({"id": asked["id"], "result": result}).encode())

    world.answer = answer
    return world


def test_rpc_when_it_reads_then_the_whole_envelope_comes_back_and_no_session_is_told(rpc: World) -> None:
    answer = rpc.ok(READ, method="POST", path="model.party.party.search_read", body=[[["id", "=", 1]], {}])
    assert answer["body"]["result"] == [{"id": 1, "echo": [[["id", "=", 1]], {}, "[secret]"]}]
    login, read = rpc.received
    assert (login.path, json.loads(read.body)["method"]) == ("/plant/rpc/", "model.party.party.search_read")
    assert read.headers["authorization"].startswith("Session ")
    stored = " ".join(call.request_body + call.response_body + call.url for call in rpc.calls)
    assert len(rpc.calls) == 2 and SESSION not in stored and "battery" not in stored


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        ("model.party.party.search", True),
        ("model.party.party.read", True),
        ("model.party.party.fields_get", True),
        ("model.party.party.get_name", True),
        ("model.party.party.write", False),
        ("model.party.party.create", False),
        ("model.purchase.purchase.confirm", False),
        ("wizard.party.replace.get_x", False),
        ("report.x.execute", False),
    ],
)
def test_rpc_when_it_may_write_then_it_needs_that_scope(rpc: World, path: str, reads: bool) -> None:
    response = rpc.send(READ, method="POST", path=path, body=[[1], {}])
    assert response.status_code == (200 if reads else 403), response.content
    assert rpc.ok(WRITE, method="POST", path=path, body=[[1], {}])["status"] == 200


@pytest.mark.parametrize(
    "call",
    [
        {"path": "common.db.login", "body": []},
        {"path": "common.server.version", "body": []},
        {"path": "model.party", "body": []},
        {"path": "/model/party", "body": []},
        {"path": "model.party.party.read", "body": {}},
        {"path": "model.party.party.read"},
        {"path": "model.party.party.read", "body": [], "query": {"a": 1}},
        {"path": "model.party.party.read", "body": [], "headers": {"Accept": "x"}},
        {"path": "model.party.party.read", "body": [], "method": "GET"},
    ],
    ids=range(9),
)
def test_rpc_when_it_is_no_remote_call_then_it_is_refused(rpc: World, call: dict[str, Any]) -> None:
    assert rpc.refused(**{"method": "POST", **call}) == (422, "NOT_A_REMOTE_CALL") and rpc.received == []


def test_rpc_when_the_sign_in_fails_then_the_connection_needs_it_anew(rpc: World) -> None:
    rpc.answer = lambda request: message(b"", "401 Unauthorized")
    call = {"method": "POST", "path": "model.party.party.read", "body": [[1], {}]}
    assert rpc.refused(**call) == (424, "AUTHENTICATION_FAILED")
    assert rpc.health()[0] == "needs_reauth" and rpc.refused(**call) == (424, "NEEDS_REAUTH")
    assert len(rpc.received) == 1


def test_system_without_raw_calls_says_so(world: World, settings: Any) -> None:
    settings.CONNECTORS = ["tests.unit.test_passthrough.TestRpc", "tests.unit.test_passthrough.NoRawCalls"]
    world.change(system="no-raw-calls")
    assert world.refused(READ) == (422, "OPERATION_NOT_SUPPORTED")


class NoRawCalls(Connector):
    """A system of another kind still."""

    slug, title = "no-raw-calls", "No raw calls"
