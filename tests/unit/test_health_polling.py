"""The poller: who is asked when, by whom, and what comes of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections import ticks
from connections.models import Connection, Credential
from connections.services import record_success
from connections.services.polling import due_polls, poll_health
from connections.tasks import poll_health_task
from core import hints
from core.seldom import Seldom
from integrations.sdk.declarations import Limits
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from workspaces.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


def fresh(connection: Connection) -> Any:
    with scope(workspace=connection.workspace_id):
        return Connection.objects.get(pk=connection.pk)


def told(connection: Connection) -> list[str]:
    with scope(workspace=connection.workspace_id):
        rows = Event.objects.filter(connection_id=connection.pk).order_by("position")
        return list(rows.values_list("type", flat=True))


def change(connection: Connection, **values: Any) -> None:
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(**values)


def due_now(connection: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET next_poll_at = clock_timestamp(),"
            " circuit_open_until = least(circuit_open_until, clock_timestamp()) WHERE id = %s",
            [connection.pk],
        )


def seconds_to_poll(connection: Connection) -> float:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM next_poll_at - clock_timestamp()) FROM connections_connection WHERE id = %s",
            [connection.pk],
        )
        return float(cursor.fetchone()[0])


def polled(connection: Connection) -> bool:
    due_now(connection)
    return poll_health(connection.pk)


def test_poll_when_the_system_answers_asks_once_and_sets_the_next(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    poll_health_task(str(connection.pk))

    assert [call.path for call in erp_server.calls] == ["/me"], "one cheap call"
    assert 300 <= seconds_to_poll(connection) <= 390 and fresh(connection).checked_at is not None
    assert not poll_health(connection.pk) and len(erp_server.calls) == 1
    assert told(connection) == []


def test_poll_by_four_workers_asks_once(erp_server: TestErpServer) -> None:
    connection, gate, results = connect(erp_server), threading.Barrier(4), list[bool]()

    def work() -> None:
        gate.wait(10)
        results.append(poll_health(connection.pk))
        database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [False, False, False, True] and len(erp_server.calls) == 1


def test_three_polls_without_answer_then_offline_and_two_good_ones_then_online(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    erp_server.fail("http_503")
    assert [polled(connection) and fresh(connection).status for _ in range(3)] == ["active", "active", "offline"]
    assert told(connection) == ["connection.offline"]

    erp_server.heal()
    assert polled(connection) and fresh(connection).status == "offline"
    assert seconds_to_poll(connection) <= 0, "the second is asked for at once"
    assert poll_health(connection.pk) and fresh(connection).status == "active"
    assert polled(connection)
    assert told(connection) == ["connection.offline", "connection.online"]


def test_polls_that_fail_and_succeed_in_turn_tell_nothing(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    for _ in range(4):
        erp_server.fail("http_503")
        assert polled(connection)
        erp_server.heal()
        assert polled(connection)
    assert (fresh(connection).status, told(connection)) == ("active", [])


def test_gaps_while_offline_grow_to_a_quarter_of_an_hour(erp_server: TestErpServer) -> None:
    connection, gaps = connect(erp_server), list[float]()
    erp_server.fail("http_503")
    for _ in range(10):
        assert polled(connection)
        gaps.append(seconds_to_poll(connection))
    least = [60, 60, 60, 60, 60, 120, 240, 480, 900, 900]
    assert all(low - 1 <= gap <= low * 1.2 + 1 for low, gap in zip(least, gaps, strict=True)), gaps
    assert told(connection) == ["connection.offline"]


def test_poll_while_the_circuit_is_open_asks_nobody(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    erp_server.fail("http_503")
    assert all(polled(connection) for _ in range(5))
    erp_server.forget_calls()
    change(connection, next_poll_at="2026-01-01T00:00:00Z")

    assert not poll_health(connection.pk) and erp_server.calls == []
    assert 50 < seconds_to_poll(connection) <= 61, "as soon as the circuit lets one through"


def test_refused_sign_in_needs_reauth_at_once_and_ends_the_polls(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, api_key="wrong")
    assert polled(connection)
    assert (fresh(connection).status, told(connection)) == ("needs_reauth", ["connection.needs_reauth"])
    assert not polled(connection)


def test_secret_that_does_not_open_is_kept_as_error(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    with scope(workspace=connection.workspace_id):
        Credential.objects.update(ciphertext=b"\x01nonsense")
    assert polled(connection)
    now = fresh(connection)
    assert (now.status, now.error["code"]) == ("active", "KEY_MISSING") and seconds_to_poll(connection) > 290
    assert erp_server.calls == []


@pytest.mark.parametrize(
    "values",
    [
        {"paused": True},
        {"health": "pending"},
        {"health": "disconnected"},
        {"health": "needs_reauth"},
        {"purge_requested_at": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_connections_that_are_not_asked(erp_server: TestErpServer, values: dict[str, Any]) -> None:
    connection = connect(erp_server, **values)
    assert due_polls(10) == [] and not polled(connection) and erp_server.calls == []


def test_good_call_puts_the_poll_off_and_is_written_seldom(
    erp_server: TestErpServer, django_assert_num_queries: Any
) -> None:
    connection = connect(erp_server)
    assert [pk for pk, _ in due_polls(10)] == [connection.pk]
    record_success(connection.pk, connection.workspace_id)
    put_off = fresh(connection).next_poll_at
    assert due_polls(10) == [] and seconds_to_poll(connection) >= 300
    with django_assert_num_queries(1):
        record_success(connection.pk, connection.workspace_id)
    assert fresh(connection).next_poll_at == put_off, "within a tenth of the interval nothing is written"


def test_spent_budget_puts_the_poll_off(erp_server: TestErpServer, erp_connector: Any, monkeypatch: Any) -> None:
    connection = connect(erp_server)
    monkeypatch.setattr(erp_connector, "limits", Limits(per_minute=1))
    assert polled(connection)
    assert not polled(connection) and len(erp_server.calls) == 1
    assert 20 < seconds_to_poll(connection) <= 61


def test_tick_hints_each_due_poll_once_and_again_after_a_minute(erp_server: TestErpServer, monkeypatch: Any) -> None:
    first, second = connect(erp_server), connect(erp_server)
    sent = list[Any]()

    def publish(task: str, pk: Any, *, queue: str) -> bool:
        sent.append((task, pk, queue))
        return True

    monkeypatch.setattr(hints, "publish", publish)
    monkeypatch.setattr(ticks, "_told", Seldom(seconds=60))
    assert (ticks.hint_due_polls(), ticks.hint_due_polls()) == (2, 0)
    assert sorted(sent) == sorted(("connections.poll_health", row.pk, "events") for row in (first, second))

    assert poll_health(first.pk)
    due_now(first)
    assert ticks.hint_due_polls() == 1, "the next poll of the same connection is another one"
    monkeypatch.setattr(ticks, "_told", Seldom(seconds=timedelta(0).total_seconds()))
    assert ticks.hint_due_polls() == 2


def test_tick_without_broker_tells_nobody_and_tries_again(erp_server: TestErpServer, monkeypatch: Any) -> None:
    connect(erp_server)
    monkeypatch.setattr(ticks, "_told", Seldom(seconds=60))
    monkeypatch.setattr(hints, "publish", lambda *_, **__: False)
    assert ticks.hint_due_polls() == 0
    monkeypatch.setattr(hints, "publish", lambda *_, **__: True)
    assert ticks.hint_due_polls() == 1
