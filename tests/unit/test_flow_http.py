"""Requests of flows: where they may go, what comes back, what is tried again, and what never is."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scopes_disabled

from core.errors import (
    ConfigError,
    EgressDeniedError,
    LineshaftError,
    NotFoundError,
    RateLimitedError,
    TransientError,
    UnreachableError,
    ValidationFailedError,
)
from core.leases import LeaseLostError
from flows.engine.handlers import HANDLERS, http
from flows.engine.header_secrets import header_value
from flows.engine.turn import Done, OutcomeLostError
from flows.models import Flow, FlowSecret, StepRun
from tests.flow_turns import HeldTurn, flow_of, held_turn
from tests.http_peer import Peer, Received, always, message, peer
from tests.tenants import make_workspace
from workspaces.models import Workspace
from workspaces.secrets import seal

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "horse-staple-battery-42"


@pytest.fixture(autouse=True)
def everything_unscoped(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with scopes_disabled():
        yield


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def flow_at(workspace: Workspace, url: str, *, environment: str = "test", **fields: Any) -> Flow:
    step = {"name": "ask", "do": "http_request", "url": url, **fields}
    return flow_of(step, workspace=workspace, environment=environment)


def turn_at(
    workspace: Workspace, url: str, *, is_dry: bool = False, environment: str = "test", **fields: Any
) -> HeldTurn:
    return held_turn(flow_at(workspace, url, environment=environment, **fields), is_dry=is_dry)


def asked(turn: HeldTurn) -> Done:
    found = HANDLERS["http_request"](turn)
    assert isinstance(found, Done)
    return found


def refusal(turn: HeldTurn, kind: type[LineshaftError]) -> LineshaftError:
    with pytest.raises(kind) as caught:
        HANDLERS["http_request"](turn)
    return caught.value


def give_secret(flow: Flow, name: str, value: str) -> None:
    row = FlowSecret(workspace_id=flow.workspace_id, flow=flow, name=name)
    with transaction.atomic():
        seal(row, value)
        row.save(force_insert=True)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_request_and_its_answer(workspace: Workspace) -> None:
    answer = message(b'{"id": 7, "sum": "12.50"}', "201 Created", x_kind="part", set_cookie="sid=1", x_api_key="abc123")
    with peer(always(answer)) as server:
        turn = turn_at(
            workspace,
            server.url("/parts"),
            method="POST",
            query={"dry": False, "tag": ["a b", "c"], "none": None},
            headers={"X-Plant": "1", "X-Count": 3, "X-None": None},
            body={"name": "Bolt"},
        )
        found = asked(turn)
    (sent,) = server.received
    assert (sent.method, sent.path) == ("POST", "/parts?dry=false&tag=a%20b&tag=c")
    assert json.loads(sent.body) == {"name": "Bolt"}
    assert (sent.headers["x-plant"], sent.headers["x-count"]) == ("1", "3")
    assert "x-none" not in sent.headers
    assert found.output == {
        "status": 201,
        "headers": {"content-type": "application/json", "x-kind": "part", "x-api-key": "[cut]"},
        "body": {"id": 7, "sum": "12.50"},
    }
    call = found.call or {}
    assert (call["method"], call["status"], call["error"]) == ("POST", 201, None)
    assert (json.loads(call["request"]), json.loads(call["response"])["id"]) == ({"name": "Bolt"}, 7)
    assert call["url"].endswith("/parts?dry=false&tag=a%20b&tag=c")
    assert call["elapsed_ms"] >= 0
    assert StepRun.objects.get().has_begun is True


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b"", "application/json", None),
        (b"hello", "text/plain", "hello"),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b'{"a": 1, "a": 2}', "application/json", '{"a": 1, "a": 2}'),
        (b'{"a": NaN}', "application/json", '{"a": NaN}'),
        (b'"just text"', "application/json", "just text"),
        (b"\xff\xfe\x00\x01", "image/png", "(4 bytes of image/png)"),
        ("Stück".encode("latin-1"), "text/plain; charset=latin-1", "Stück"),
    ],
)
def test_a_body_is_json_where_it_is_else_text(workspace: Workspace, body: bytes, kind: str, told: Any) -> None:
    with peer(always(message(body, content_type=kind))) as server:
        assert asked(turn_at(workspace, server.url())).output["body"] == told


def test_live_flows_call_https_at_public_addresses_alone(workspace: Workspace, settings: Any) -> None:
    with peer(always(message())) as server:
        refusal(turn_at(workspace, server.url(), environment="live"), EgressDeniedError)
        refusal(turn_at(workspace, f"https://127.0.0.1:{server.port}/", environment="live"), EgressDeniedError)
        settings.EGRESS_ALLOWED_NETWORKS = []
        refusal(turn_at(workspace, server.url()), EgressDeniedError)
        for url in ("ftp://x/", "http://user:pw@x/", "nowhere", "http://169.254.169.254/latest", "http://[::1]:1/"):
            refusal(turn_at(workspace, url), ConfigError)
        assert server.accepted == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"url": None},
        {"url": {"a": 1}},
        {"url": ""},
        {"query": {"a": {"b": 1}}},
        {"headers": {"X-A": True}},
        {"headers": {"X-A": ["b"]}},
    ],
)
def test_what_makes_no_request_is_refused_before_it_begins(workspace: Workspace, fields: Any) -> None:
    values = {"url": "http://127.0.0.1:9/", **fields}
    turn = held_turn(flow_at(workspace, "http://127.0.0.1:9/"), values)
    assert refusal(turn, ValidationFailedError).code == "INVALID_REQUEST"


@pytest.mark.parametrize("headers", [{"Host": "x"}, {"X A": "b"}, {"X-A": "b\r\nX-B: c"}, {"Content-Length": "5"}])
def test_headers_of_the_platform_and_broken_ones_are_refused(workspace: Workspace, headers: Any) -> None:
    with peer(always(message())) as server:
        assert refusal(turn_at(workspace, server.url(), headers=headers), ConfigError).code == "HEADER_REFUSED"
        assert (
            refusal(turn_at(workspace, server.url(), headers=headers, is_dry=True), ConfigError).code
            == "HEADER_REFUSED"
        )
        assert server.accepted == 0


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        ("429 Slow", {"retry_after": "7"}, RateLimitedError, 7),
        ("429 Slow", {}, RateLimitedError, None),
        ("503 Busy", {"retry_after": "3"}, TransientError, 3),
        ("500 Broken", {}, TransientError, None),
        ("404 Nothing", {}, NotFoundError, None),
        ("401 Who", {}, ValidationFailedError, None),
        ("400 What", {}, ValidationFailedError, None),
        ("302 There", {}, ValidationFailedError, None),
    ],
)
def test_other_answers_are_errors_that_say_what_came(
    workspace: Workspace, status: str, headers: Any, kind: Any, wait: Any
) -> None:
    with peer(always(message(b'{"error": "no bolts"}', status, **headers))) as server:
        error = refusal(turn_at(workspace, server.url(), method="POST", body={}), kind)
    assert (error.code, error.retry_after) == (f"HTTP_{status[:3]}", wait)
    assert error.retryable is (kind in (RateLimitedError, TransientError))
    assert "no bolts" in error.detail
    assert error.source is not None
    assert error.source.status == int(status[:3])
    assert error.extra["call"]["status"] == int(status[:3])


def test_statuses_that_are_expected_are_well(workspace: Workspace) -> None:
    with peer(always(message(b"{}", "404 Nothing"))) as server:
        assert asked(turn_at(workspace, server.url(), expect=[200, 404])).output["status"] == 404
    with peer(always(message(b"{}"))) as server:
        assert (
            "not one of 201, 202" in refusal(turn_at(workspace, server.url(), expect=[201, 202]), LineshaftError).detail
        )


def test_a_gateway_that_lost_a_request_leaves_its_outcome_open(workspace: Workspace) -> None:
    with peer(always(message(b"", "504 Late"))) as server:
        refusal(turn_at(workspace, server.url(), method="POST"), OutcomeLostError)
        refusal(turn_at(workspace, server.url(), method="PUT"), TransientError)
        refusal(turn_at(workspace, server.url(), method="POST", is_idempotent=True), TransientError)


def cut(request: Received, sock: socket.socket) -> bool:
    return False


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"method": "POST"}, OutcomeLostError),
        ({"method": "PATCH"}, OutcomeLostError),
        ({"method": "PUT", "is_idempotent": False}, OutcomeLostError),
        ({"method": "GET"}, TransientError),
        ({"method": "PUT"}, TransientError),
        ({"method": "DELETE"}, TransientError),
        ({"method": "POST", "is_idempotent": True}, TransientError),
    ],
)
def test_a_lost_answer_is_for_a_person_unless_it_may_be_asked_again(
    workspace: Workspace, fields: Any, kind: Any
) -> None:
    with peer(cut) as server:
        error = refusal(turn_at(workspace, server.url(), **fields), kind)
    assert error.retryable is (kind is TransientError)
    assert error.extra["call"]["status"] is None


def test_a_silent_server_is_given_no_more_than_the_steps_time(workspace: Workspace) -> None:
    def silent(request: Received, sock: socket.socket) -> bool:
        server.stopping.wait(20)
        return False

    with peer(silent) as server:
        error = refusal(turn_at(workspace, server.url(), method="POST", timeout_seconds=1), OutcomeLostError)
        assert 900 <= error.extra["call"]["elapsed_ms"] < 5000


def test_what_was_begun_is_not_sent_again_by_whoever_takes_over(workspace: Workspace) -> None:
    with peer(always(message())) as server:
        turn = turn_at(workspace, server.url(), method="POST")
        turn.begin()
        refusal(turn.again(), OutcomeLostError)
        assert server.received == []
        again = turn_at(workspace, server.url(), method="PUT")
        again.begin()
        assert asked(again.again()).output["status"] == 200


def test_nothing_is_sent_by_a_worker_that_lost_its_run(workspace: Workspace) -> None:
    with peer(always(message())) as server:
        turn = turn_at(workspace, server.url(), method="POST")
        turn.again()
        with pytest.raises(LeaseLostError):
            HANDLERS["http_request"](turn)
        assert server.accepted == 0


def test_a_worker_frozen_before_it_sends_sends_nothing_later(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    sent = http._sent

    def late(turn: Any, request: Any, secrets: Any) -> Any:
        seen.append(request.not_after - time.monotonic())
        return sent(turn, replace(request, not_after=time.monotonic()), secrets)

    monkeypatch.setattr(http, "_sent", late)
    with peer(always(message())) as server:
        error = refusal(turn_at(workspace, server.url(), method="POST"), TransientError)
        assert (error.code, error.retryable) == ("NOT_AFTER_PASSED", True)
        assert server.received == []
    assert 0 < seen[0] <= 90 - http.TOTAL_SECONDS


def test_a_server_that_is_not_there_is_tried_again_whatever_the_method(workspace: Workspace) -> None:
    error = refusal(turn_at(workspace, f"http://127.0.0.1:{closed_port()}/", method="POST"), UnreachableError)
    assert error.retryable is True


def test_an_answer_of_more_than_a_mebibyte_is_refused(workspace: Workspace) -> None:
    with peer(always(message(b"x" * (http.MAX_ANSWER_BYTES + 1), content_type="text/plain"))) as server:
        error = refusal(turn_at(workspace, server.url()), ValidationFailedError)
    assert (error.code, error.retryable) == ("ANSWER_TOO_LARGE", False)


# --- secrets ----------------------------------------------------------------------------------------------------------


def with_secret(workspace: Workspace, server: Peer, **fields: Any) -> HeldTurn:
    header = {"Authorization": {"secret": "key", "before": "Bearer "}}
    flow = flow_at(workspace, server.url("/in"), secret_headers=header, **fields)
    give_secret(flow, "key", SECRET)
    return held_turn(flow, is_dry=fields.pop("is_dry", False))


def test_a_secret_reaches_the_server_and_nothing_that_is_kept(workspace: Workspace) -> None:
    def echo(request: Received, sock: socket.socket) -> bool:
        said = json.dumps({"you": request.headers["authorization"]}).encode()
        sock.sendall(message(said, x_echo=request.headers["authorization"]))
        return True

    with peer(echo) as server:
        turn = with_secret(workspace, server, method="POST", body={"note": f"see {SECRET}"})
        found = asked(turn)
        assert server.received[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in json.dumps([found.output, found.call])
    assert found.output["body"] == {"you": "Bearer [secret]"}


def test_a_secret_is_cut_from_errors_too(workspace: Workspace) -> None:
    def refuses(request: Received, sock: socket.socket) -> bool:
        sock.sendall(message(f"bad key {SECRET}".encode(), "403 Never", content_type="text/plain"))
        return True

    with peer(refuses) as server:
        error = refusal(with_secret(workspace, server, query={"k": SECRET}), ValidationFailedError)
    assert SECRET not in json.dumps([error.detail, error.extra, str(error.source)])
    assert "bad key" in error.detail


def test_a_missing_secret_is_told_before_anything_is_sent(workspace: Workspace) -> None:
    with peer(always(message())) as server:
        for is_dry in (False, True):
            turn = turn_at(workspace, server.url(), secret_headers={"X-Key": {"secret": "key"}}, is_dry=is_dry)
            assert refusal(turn, ConfigError).code == "FLOW_SECRET_MISSING"
        assert server.accepted == 0
    assert not StepRun.objects.filter(has_begun=True).exists()


def test_secrets_belong_to_one_flow(workspace: Workspace) -> None:
    mine, other = flow_at(workspace, "https://a.example/"), flow_at(workspace, "https://b.example/")
    give_secret(mine, "key", SECRET)
    assert header_value(mine, "key") == SECRET
    with pytest.raises(ConfigError):
        header_value(other, "key")


# --- dry --------------------------------------------------------------------------------------------------------------


def test_a_trial_shows_what_would_be_sent_and_sends_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "header_value", lambda *_: pytest.fail("a secret was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    with peer(always(message())) as server:
        flow = flow_at(
            workspace,
            "http://partner.example/in",
            method="POST",
            query={"page": 2, "token": "abc"},
            headers={"X-Plant": "1", "X-Api-Key": "typed"},
            secret_headers={"Authorization": {"secret": "key", "before": "Bearer "}},
            body={"name": "Bolt"},
        )
        give_secret(flow, "key", SECRET)
        output = asked(held_turn(flow, is_dry=True)).output
        assert server.accepted == 0
    assert output == {
        "status": None,
        "headers": {},
        "body": None,
        "request": {
            "method": "POST",
            "url": "http://partner.example/in?page=2&token=[cut]",
            "headers": {"X-Plant": "1", "X-Api-Key": "[cut]", "Authorization": "Bearer [cut]"},
            "body": {"name": "Bolt"},
        },
    }
    refusal(turn_at(workspace, "http://partner.example/", environment="live", is_dry=True), EgressDeniedError)
    refusal(turn_at(workspace, "nowhere", is_dry=True), ConfigError)
