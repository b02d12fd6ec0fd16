"""A real simulator goes away and comes back while workers poll: one event each time, and none for flapping."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection
from connections.services.polling import due_polls, poll_health
from integrations.simulators import running
from tests.chaos.processes import until
from tests.operating import connect_cmms
from workspaces.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
POLL_SECONDS = 0.2


class System:
    """The simulator, which can be stopped and started at one address."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running = ExitStack()
        stack.callback(lambda: self._running.close())
        self.simulator: Any = None
        self.start()

    def start(self) -> None:
        port = int(self.simulator.base_url.rpartition(":")[2].split("/")[0]) if self.simulator else 0
        self._running = ExitStack()
        self.simulator = self._running.enter_context(running("maintainx", scale=0.1, port=port))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def system(settings: Any) -> Iterator[System]:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosMaintainX"]
    settings.HEALTH_POLL_SECONDS = POLL_SECONDS
    with ExitStack() as stack:
        yield System(stack)


@contextmanager
def workers(count: int) -> Iterator[list[bool]]:
    """Threads that poll whatever is due, as the tick's hints would have workers do. The list grows with each poll."""
    stop, polls, errors = threading.Event(), list[bool](), list[BaseException]()

    def work() -> None:
        try:
            while not stop.wait(0.02):
                for connection_id, _ in due_polls(10):
                    if poll_health(connection_id):
                        polls.append(True)
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield polls
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert errors == []


def fresh(connection: Connection) -> Any:
    with scope(workspace=connection.workspace_id):
        return Connection.objects.get(pk=connection.pk)


def told(connection: Connection) -> list[str]:
    with scope(workspace=connection.workspace_id):
        rows = Event.objects.filter(connection_id=connection.pk).order_by("position")
        return list(rows.values_list("type", flat=True))


def becomes(connection: Connection, status: str) -> None:
    until(lambda: fresh(connection).status == status, seconds=30, what=f"the connection is {status}")


def polled(connection: Connection) -> bool:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET next_poll_at = clock_timestamp() WHERE id = %s", [connection.pk]
        )
    return poll_health(connection.pk)


def test_stopping_and_starting_the_simulator_tells_one_event_each(system: System) -> None:
    connection = connect_cmms(system.simulator)
    with workers(3) as polls:
        until(lambda: len(polls) >= 3, seconds=30, what="three good polls")
        assert told(connection) == []

        system.stop()
        becomes(connection, "offline")
        until(lambda: fresh(connection).failures_in_row >= 5, seconds=30, what="the circuit is open")
        assert told(connection) == ["connection.offline"]

        system.start()
        becomes(connection, "active")
        so_far = len(polls)
        until(lambda: len(polls) >= so_far + 3, seconds=30, what="three more good polls")
    assert told(connection) == ["connection.offline", "connection.online"]


def test_offline_takes_no_more_than_three_polls(system: System) -> None:
    connection = connect_cmms(system.simulator)
    assert polled(connection)
    system.stop()
    assert [polled(connection) and fresh(connection).status for _ in range(3)] == ["active", "active", "offline"]
    assert told(connection) == ["connection.offline"]


def test_flapping_inside_the_hysteresis_tells_nothing(system: System) -> None:
    connection = connect_cmms(system.simulator)
    for _ in range(3):
        system.stop()
        assert polled(connection) and polled(connection)
        assert fresh(connection).failures_in_row == 2
        system.start()
        assert polled(connection)
    assert (fresh(connection).status, told(connection)) == ("active", [])
