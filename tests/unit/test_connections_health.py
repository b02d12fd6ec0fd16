"""The circuit, offline and back, and the need to sign in again: each told once, whoever meets it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import orjson
import pytest
from django.db import connection as database
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import error_json, let_probe_through, record_success, record_trouble
from core.errors import (
    AuthError,
    Category,
    LineshaftError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    SourceAnswer,
    TransientError,
    UnreachableError,
)
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from workspaces.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
DOWN = UnreachableError("erp.example refused the connection.")


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def fresh(connection: Connection) -> Any:
    with scope(workspace=connection.workspace_id):
        return Connection.objects.get(pk=connection.pk)


def told(connection: Connection) -> list[str]:
    with scope(workspace=connection.workspace_id):
        return list(
            Event.objects.filter(connection_id=connection.pk).order_by("position").values_list("type", flat=True)
        )


def trouble(connection: Connection, error: LineshaftError = DOWN, times: int = 1) -> None:
    for _ in range(times):
        record_trouble(connection.pk, connection.workspace_id, error)


def success(connection: Connection) -> None:
    record_success(connection.pk, connection.workspace_id)


def probe(connection: Connection) -> bool:
    return let_probe_through(connection.pk, connection.workspace_id)


def open_seconds(connection: Connection) -> float:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM circuit_open_until - clock_timestamp()) FROM connections_connection WHERE id = %s",
            [connection.pk],
        )
        (seconds,) = cursor.fetchone()
    return float(seconds)


def let_the_circuit_run_out(connection: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET circuit_open_until = clock_timestamp() - interval '1 ms' WHERE id = %s",
            [connection.pk],
        )


def at_once(work: Callable[[], Any], count: int) -> list[Any]:
    gate, results = threading.Barrier(count), []

    def run() -> None:
        try:
            gate.wait(10)
            results.append(work())
        except Exception as error:
            results.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_record_success_when_nothing_was_wrong_is_one_read(connection: Connection, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(1):
        success(connection)


def test_record_trouble_when_twice_only_counts(connection: Connection) -> None:
    trouble(connection, times=2)

    now = fresh(connection)
    assert (now.failures_in_row, now.circuit_open_until, now.status) == (2, None, "active")
    assert now.error["code"] == "HOST_UNREACHABLE" and now.error["retryable"] is True
    assert told(connection) == []


def test_record_success_when_failures_were_counted_forgets_them_silently(connection: Connection) -> None:
    trouble(connection, times=2)
    success(connection)

    now = fresh(connection)
    assert (now.failures_in_row, now.error, now.status) == (0, None, "active")
    assert told(connection) == []


def test_record_trouble_when_three_in_a_row_is_offline_and_still_lets_calls_out(connection: Connection) -> None:
    trouble(connection, times=3)

    now = fresh(connection)
    assert (now.status, now.circuit_open_until) == ("offline", None) and now.offline_since is not None
    assert probe(connection)
    trouble(connection)
    assert told(connection) == ["connection.offline"]


def test_record_trouble_when_five_in_a_row_opens_and_tells_once(connection: Connection) -> None:
    trouble(connection, times=8)

    now = fresh(connection)
    assert now.status == "offline" and not probe(connection)
    assert 55 < open_seconds(connection) <= 60, "failures of calls that were out already do not lengthen it"
    assert told(connection) == ["connection.offline"]


def test_circuit_when_probes_fail_waits_twice_as_long_up_to_a_quarter_of_an_hour(connection: Connection) -> None:
    trouble(connection, times=5)
    waits = []
    for _ in range(8):
        let_the_circuit_run_out(connection)
        assert probe(connection)
        trouble(connection)
        waits.append(round(open_seconds(connection), -1))

    assert waits == [120, 240, 480, 900, 900, 900, 900, 900]
    assert told(connection) == ["connection.offline"]


def test_circuit_when_the_probe_succeeds_closes_and_tells_once(connection: Connection) -> None:
    trouble(connection, times=5)
    let_the_circuit_run_out(connection)
    assert probe(connection)
    success(connection)
    success(connection)

    now = fresh(connection)
    assert (now.status, now.failures_in_row, now.circuit_open_until, now.probing) == ("active", 0, None, False)
    assert told(connection) == ["connection.offline", "connection.online"]
    trouble(connection, times=2)
    assert fresh(connection).status == "active", "it takes three again"


def test_flapping_tells_nothing_in_either_state(connection: Connection) -> None:
    for _ in range(4):
        trouble(connection, times=2)
        success(connection)
    assert (fresh(connection).status, told(connection)) == ("active", [])

    trouble(connection, times=3)
    since = fresh(connection).offline_since
    for _ in range(4):
        success(connection)
        trouble(connection)
    now = fresh(connection)
    assert (now.status, now.offline_since, told(connection)) == ("offline", since, ["connection.offline"])


def test_one_good_call_while_offline_closes_the_circuit_and_keeps_it_offline(connection: Connection) -> None:
    trouble(connection, times=5)
    let_the_circuit_run_out(connection)
    assert probe(connection)
    success(connection)

    now = fresh(connection)
    assert (now.status, now.good_in_row, now.circuit_open_until) == ("offline", 1, None)
    assert now.error["code"] == "HOST_UNREACHABLE" and probe(connection), "calls go out again"
    success(connection)
    now = fresh(connection)
    assert (now.status, now.good_in_row, now.offline_since, now.error) == ("active", 0, None, None)


def test_refusals_while_offline_show_that_it_answers(connection: Connection) -> None:
    trouble(connection, times=3)
    refused = PermissionDeniedError("no", source=SourceAnswer(status=403))
    trouble(connection, refused, times=2)

    now = fresh(connection)
    assert (now.status, now.error["code"]) == ("active", refused.code)
    assert told(connection) == ["connection.offline", "connection.online"]


def test_let_probe_through_when_half_open_lets_exactly_one(connection: Connection) -> None:
    trouble(connection, times=5)
    let_the_circuit_run_out(connection)

    assert sorted(at_once(lambda: probe(connection), 4)) == [False, False, False, True]
    assert 55 < open_seconds(connection) <= 60
    let_the_circuit_run_out(connection)
    assert probe(connection), "a probe that died with its worker is followed by another"


def test_let_probe_through_when_closed_lets_everybody(connection: Connection) -> None:
    assert probe(connection) and probe(connection)


def test_let_probe_through_of_another_workspace_lets_nobody(connection: Connection, erp_server: TestErpServer) -> None:
    assert not let_probe_through(connection.pk, connect(erp_server).workspace_id)


def test_record_trouble_by_two_workers_tells_once(connection: Connection) -> None:
    trouble(connection, times=4)

    at_once(lambda: trouble(connection), 4)

    assert fresh(connection).failures_in_row == 5
    assert told(connection) == ["connection.offline"]


def test_record_success_by_two_workers_tells_once(connection: Connection) -> None:
    trouble(connection, times=5)

    at_once(lambda: success(connection), 4)

    assert told(connection) == ["connection.offline", "connection.online"]


def test_record_trouble_when_auth_fails_asks_for_a_new_sign_in_once(connection: Connection) -> None:
    at_once(lambda: trouble(connection, AuthError("The system refuses the sign-in.")), 3)
    trouble(connection)
    success(connection)

    now = fresh(connection)
    assert now.status == "needs_reauth", "a late success or failure of another worker does not hide it"
    assert now.error["code"] == "AUTHENTICATION_FAILED" and now.error["who_must_act"] == "customer"
    assert told(connection) == ["connection.needs_reauth"]


def test_record_trouble_when_auth_fails_while_offline_closes_the_circuit(connection: Connection) -> None:
    trouble(connection, times=5)
    let_the_circuit_run_out(connection)
    assert probe(connection)
    trouble(connection, AuthError("The system refuses the sign-in."))

    now = fresh(connection)
    assert (now.status, now.circuit_open_until, now.failures_in_row) == ("needs_reauth", None, 0)


@pytest.mark.parametrize("error", [RateLimitedError("slow"), PermissionDeniedError("no"), NotFoundError("gone")])
def test_record_trouble_when_it_is_no_outage_keeps_the_error_only(
    connection: Connection, error: LineshaftError
) -> None:
    trouble(connection, error, times=6)

    now = fresh(connection)
    assert (now.status, now.failures_in_row, now.error["code"]) == ("active", 0, error.code)


def test_record_trouble_when_paused_still_shows_paused(connection: Connection) -> None:
    with scope(workspace=connection.workspace_id):
        Connection.objects.update(paused=True)
    trouble(connection, times=5)

    now = fresh(connection)
    assert (now.status, now.health) == ("paused", "offline")


@pytest.mark.parametrize("health", [ConnectionStatus.DISCONNECTED, ConnectionStatus.PENDING])
def test_record_trouble_and_success_when_not_connected_change_no_status(
    erp_server: TestErpServer, health: ConnectionStatus
) -> None:
    connection = connect(erp_server, health=health)
    trouble(connection, times=6)
    trouble(connection, AuthError("no"))
    success(connection)

    assert fresh(connection).health == health
    assert told(connection) == []


def test_record_trouble_of_another_workspace_changes_nothing(connection: Connection, erp_server: TestErpServer) -> None:
    record_trouble(connection.pk, connect(erp_server).workspace_id, DOWN)

    assert fresh(connection).failures_in_row == 0


def test_event_of_an_outage_says_what_and_who(connection: Connection) -> None:
    trouble(connection, times=5)

    with scope(workspace=connection.workspace_id):
        body = orjson.loads(Event.objects.get().body)
    assert body["connection"] == f"con_{connection.pk.hex}" and body["position"] == 1
    assert body["data"]["system"] == "test-erp" and body["data"]["status"] == "offline"
    assert body["data"]["error"]["who_must_act"] == "source"


@pytest.mark.parametrize("category", list(Category))
def test_error_json_has_an_action_for_every_category(category: Category) -> None:
    class Failure(LineshaftError):
        pass

    Failure.category = category

    shown = error_json(Failure("It broke."))

    assert list(shown) == ["code", "category", "message", "who_must_act", "retryable", "action", "source"]
    assert shown["action"].endswith(".")


def test_error_json_when_the_source_says_odd_things_can_be_stored(connection: Connection) -> None:
    source = SourceAnswer(status=500, code="E\x00", message="half \ud83d, Authorization: Bearer abc123def456")
    error = TransientError("NUL \x00 and half \udc00" + "x" * 5000, source=source)

    trouble(connection, error, times=5)

    shown = fresh(connection).error
    assert shown["source"]["status"] == 500 and "abc123def456" not in str(shown)
    assert len(shown["message"]) == 1000


# --- upgrades ---------------------------------------------------------------------------------------------------------


def test_upgrade_gives_what_was_offline_the_time_its_last_event_tells(connection: Connection) -> None:
    """Before the column there was; without it such a connection would never become an issue."""
    for _ in range(5):
        record_trouble(connection.pk, connection.workspace_id, DOWN)
    with scope(workspace=connection.workspace_id):
        told = Event.objects.get(type="connection.offline")
        others = [connect_like(connection, health=health) for health in ("offline", "active")]
        Connection.objects.update(offline_since=None)
    with database.cursor() as cursor:
        cursor.execute(import_module("connections.migrations.0010_offline_since_before").SINCE_BEFORE)
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    since = [fresh(each).offline_since for each in (connection, *others)]
    assert since[0] == told.created_at and since[2] is None
    assert now - timedelta(seconds=60) < since[1] <= now, "its event is forgotten"


def connect_like(connection: Connection, **values: Any) -> Connection:
    row = Connection(workspace_id=connection.workspace_id, system=connection.system, name="Plant 2", **values)
    row.save(force_insert=True)
    return row
