"""The request budget: never more than the limit, whoever asks, and a share kept for operations."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django_scopes import scope

from connections.models import Connection
from connections.services import take_call
from integrations.sdk.declarations import Limits
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def let_pass(connection: Connection, seconds: float) -> None:
    """As if the bucket had been looked at that much earlier."""
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(budget_at=F("budget_at") - timedelta(seconds=seconds))


def take_all(connection: Connection, limits: Limits, *, for_operations: bool = False) -> int:
    taken = 0
    while take_call(connection, limits, for_operations=for_operations) == 0.0:
        taken += 1
        assert taken < 10_000
    return taken


def test_take_call_without_a_limit_asks_nothing(connection: Connection, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert take_call(connection, Limits()) == 0.0


def test_take_call_when_there_is_budget_is_one_query(connection: Connection, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(1):
        assert take_call(connection, Limits(per_minute=600)) == 0.0


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (5, 1), (10, 1), (20, 2), (600, 60)])
def test_take_call_when_the_bucket_is_empty_says_how_long(connection: Connection, per_minute: int, burst: int) -> None:
    limits = Limits(per_minute=per_minute, reserve_for_operations=0)

    assert take_all(connection, limits) == burst
    wait = take_call(connection, limits)

    assert 0 < wait <= 60.0
    let_pass(connection, wait)
    assert take_call(connection, limits) == 0.0, "after the wait it may be made"


@pytest.mark.parametrize("per_minute", [1, 7, 60, 300])
def test_take_call_when_asked_all_the_time_keeps_every_minute_within_the_limit(
    connection: Connection, per_minute: int
) -> None:
    limits = Limits(per_minute=per_minute, reserve_for_operations=0)
    taken, steps = take_all(connection, limits), 40

    for _ in range(steps):
        let_pass(connection, 55 / steps)  # the calls themselves take time too
        taken += take_all(connection, limits)

    assert taken <= per_minute
    assert taken >= per_minute * 0.75 or per_minute < 10


def test_take_call_for_syncs_leaves_the_reserve_to_operations(connection: Connection) -> None:
    limits = Limits(per_minute=600, reserve_for_operations=0.2)

    assert take_all(connection, limits) == 48
    assert take_all(connection, limits, for_operations=True) == 12


@pytest.mark.parametrize("per_minute", [1, 5, 12])
def test_take_call_with_a_small_limit_never_keeps_syncs_out(connection: Connection, per_minute: int) -> None:
    limits = Limits(per_minute=per_minute, reserve_for_operations=0.5)

    assert take_call(connection, limits) == 0.0


def test_take_call_of_another_workspace_is_refused(connection: Connection, erp_server: TestErpServer) -> None:
    connection.workspace_id = connect(erp_server).workspace_id

    with pytest.raises(Connection.DoesNotExist):
        take_call(connection, Limits(per_minute=5))


@pytest.mark.django_db(transaction=True)
def test_take_call_by_many_at_once_never_exceeds(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    limits = Limits(per_minute=300, reserve_for_operations=0)
    gate, taken = threading.Barrier(6), []

    def worker() -> None:
        try:
            gate.wait(10)
            for _ in range(20):
                if take_call(connection, limits) == 0.0:
                    taken.append(1)
        finally:
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    with database.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (begun,) = cursor.fetchone()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    with database.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp() - %s)", [begun])
        (seconds,) = cursor.fetchone()
    assert 30 <= len(taken) <= 30 + float(seconds) * 271 / 60


@pytest.mark.django_db(transaction=True)
def test_take_call_inside_a_transaction_leaves_its_durability_alone(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)

    with transaction.atomic(), database.cursor() as cursor:
        take_call(connection, Limits(per_minute=300))
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)
    take_call(connection, Limits(per_minute=300))
    with database.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)
