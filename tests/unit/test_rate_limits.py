"""Limits of tokens and connections: counted for all processes together, told in headers, 429 beyond them."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import pytest

from core.ids import new_id
from tests.connectors import connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import api, make_token, make_workspace
from workspaces import rate_limits

pytestmark = pytest.mark.django_db
SYSTEMS = "/api/v1/systems"
COUNTS = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    settings.RATE_LIMIT_TOKEN, settings.RATE_LIMIT_CONNECTION = 3, 1000


def remaining(answer: Any) -> dict[str, int]:
    found = COUNTS.findall(answer.headers["RateLimit"])
    assert all(1 <= int(reset) <= 60 for _, _, reset in found)
    return {name: int(rest) for name, rest, _ in found}


@pytest.fixture
def minute(monkeypatch: Any) -> Any:
    """A clock that stands in the middle of every window, until it is moved."""
    now = [time.time()]
    monkeypatch.setattr("workspaces.rate_limits.time.time", lambda: now[0])
    return now


def test_headers_tell_what_is_left_and_the_next_is_429_with_the_time_to_wait(minute: list[float]) -> None:
    client = api(make_token(make_workspace())[1])
    answers = [client.get(SYSTEMS) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [remaining(answer)["token"] for answer in answers] == [2, 1, 0, 0]
    assert answers[0].headers["RateLimit-Policy"] == '"token";q=3;w=60'
    refused = answers[3]
    assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED" and refused.json()["retryable"] is True
    assert 1 <= int(refused.headers["Retry-After"]) <= 60

    minute[0] += int(refused.headers["Retry-After"])
    assert client.get(SYSTEMS).status_code == 200, "after the time it named"


def test_each_token_has_its_own_count_and_may_have_its_own_limit(minute: list[float]) -> None:
    workspace = make_workspace()
    first, second = (make_token(workspace) for _ in range(2))
    second[0].rate_limit_per_minute = 5
    second[0].save(update_fields=["rate_limit_per_minute"])
    for _ in range(4):
        last = api(first[1]).get(SYSTEMS)
    assert last.status_code == 429
    assert remaining(api(second[1]).get(SYSTEMS)) == {"token": 4}


def test_all_tokens_of_a_connection_count_together(settings: Any, minute: list[float], erp_connector: Any) -> None:
    settings.RATE_LIMIT_CONNECTION = 2
    workspace = make_workspace()
    own = make_token(workspace, connection_id=(connection := new_id()))[1]
    whole = make_token(workspace)[1]
    shown = f"con_{connection.hex}"

    def ask_both() -> list[int]:
        named = api(whole).get("/api/v1/events", headers={"X-Connection-Id": shown})
        return [api(own).get("/api/v1/events").status_code, named.status_code]

    assert ask_both() == [200, 200]
    assert ask_both() == [429, 429]
    assert api(whole).get("/api/v1/events").status_code == 200, "the token itself has requests left"
    other = api(make_token(make_workspace())[1]).get("/api/v1/events", headers={"X-Connection-Id": shown})
    assert other.status_code != 429, "a stranger who names the id counts in an account of their own"


def test_no_limit_is_no_header(settings: Any) -> None:
    settings.RATE_LIMIT_TOKEN = 0
    answer = api(make_token(make_workspace())[1]).get(SYSTEMS)
    assert answer.status_code == 200 and "RateLimit" not in answer.headers


def test_without_redis_requests_go_on_and_are_counted_here(settings: Any, minute: list[float]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
    client = api(make_token(make_workspace())[1])
    try:
        assert [client.get(SYSTEMS).status_code for _ in range(4)] == [200, 200, 200, 429]
    finally:
        rate_limits._counter._away_until = 0.0


def test_who_is_not_known_is_not_counted() -> None:
    answer = api("lsh_live_nonsense").get(SYSTEMS)
    assert answer.status_code == 401 and "RateLimit" not in answer.headers


def test_a_token_beyond_its_limit_takes_nothing_from_the_others_of_its_connection(
    settings: Any, minute: list[float]
) -> None:
    settings.RATE_LIMIT_CONNECTION = 8
    workspace, connection = make_workspace(), new_id()
    runaway, other = (api(make_token(workspace, connection_id=connection)[1]) for _ in range(2))
    assert [runaway.get("/api/v1/events").status_code for _ in range(12)] == [200] * 3 + [429] * 9
    answer = other.get("/api/v1/events")
    assert answer.status_code == 200 and remaining(answer)["connection"] == 4


def test_a_connection_counts_however_it_is_named(settings: Any, minute: list[float]) -> None:
    settings.RATE_LIMIT_TOKEN, settings.RATE_LIMIT_CONNECTION = 1000, 3
    client, digits = api(make_token(make_workspace())[1]), f"0{new_id().hex[1:]}"
    asked = [
        client.get(f"/api/v1/connections/con_{digits}"),
        client.get("/api/v1/events", headers={"X-Connection-Id": f"con_{digits.upper()}"}),
        client.get("/api/v1/events", headers={"X-Connection-Id": f"con_+{digits[1:]}"}),
        client.get(f"/api/v1/connections/con_{digits}/health", headers={"X-Connection-Id": "con_another"}),
    ]
    assert [remaining(answer)["connection"] for answer in asked] == [2, 1, 0, 0]
    assert asked[-1].status_code == 429
