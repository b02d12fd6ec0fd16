"""A connection that ends while workers are at it: nothing is written or sent after it, and its data goes for good."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import delete_connection, disconnect_connection, reconnect_connection
from core import ids
from syncs.choices import Mode, Trigger
from syncs.models import Record, Sync, SyncRun
from syncs.services import request_run
from syncs.ticks import purge_deleted_connections, stop_disconnected_work
from tests.chaos import processes
from tests.connectors import API_KEY, TestErpServer, connect, erp_server  # noqa: F401
from tests.syncing import copy_of, events_of, run_sync, sync_of
from workspaces.models import AuditEvent, Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chaos_connector")]
HELD_SECONDS = 20.0
EFFECTIVE_SECONDS = 1.0


@pytest.fixture
def chaos_connector(settings: Any) -> None:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosErp"]
    settings.SYNC_LEASE_MARGIN_SECONDS = 1


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    erp_server.page_size = 10
    erp_server.add_orders(50)
    return sync_of(connect(erp_server, page_size=10))


def start_run(sync: Sync) -> SyncRun:
    with scopes_disabled():
        return request_run(sync, Mode.INITIAL, trigger=Trigger.COMMAND).run


def written(sync: Sync) -> tuple[Any, list[dict[str, Any]]]:
    """All that users would see of the sync's work."""
    return copy_of(sync), [event for event in events_of(sync) if event["type"].startswith("record.")]


def records_of(connection: Connection) -> int:
    with scopes_disabled():
        found: int = Record.objects.filter(connection_id=connection.pk).count()
        return found


def status_of(run: SyncRun) -> str:
    with scopes_disabled():
        return str(SyncRun.objects.values_list("status", flat=True).get(pk=run.pk))


@contextmanager
def held_page(server: TestErpServer, number: int) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The answer of the page waits: (somebody asked for it, let it go)."""
    asked, let_go, pages = threading.Event(), threading.Event(), 0
    original = server.answer

    def answer(call: Any) -> Any:
        nonlocal pages
        pages += call.path == "/orders"
        if pages == number and call.path == "/orders":
            asked.set()
            let_go.wait(HELD_SECONDS)
        return original(call)

    server.answer = answer  # type: ignore[method-assign]
    try:
        yield asked, let_go
    finally:
        let_go.set()
        server.answer = original  # type: ignore[method-assign]


def test_worker_in_a_slow_sync_sees_the_disconnect_and_writes_nothing_more(sync, erp_server):
    """The page it is given after the disconnect is not written; a reconnect goes on with the rest."""
    run = start_run(sync)
    with (
        held_page(erp_server, 3) as (asked, let_go),
        processes.running("-m", "tests.chaos.worker", str(run.pk)) as at_it,
    ):
        assert asked.wait(30)
        processes.until(lambda: records_of(sync.connection) == 20, seconds=10, what="two pages are written")
        disconnect_connection(sync.connection, by="ann")
        before, began = written(sync), time.monotonic()
        let_go.set()
        processes.until(lambda: status_of(run) == "cancelled", seconds=EFFECTIVE_SECONDS, what="the run is stopped")
        assert at_it.wait(20) == 0
    assert time.monotonic() - began < 20
    assert written(sync) == before, "something was written after the disconnect"
    with scopes_disabled():
        run.refresh_from_db()
        sync.refresh_from_db()
    assert run.error["code"] == "CONNECTION_DISCONNECTED"
    assert events_of(sync)[-1]["type"] == "connection.disconnected"

    reconnect_connection(sync.connection, secrets={"api_key": API_KEY}, by="ann")
    assert run_sync(sync, "incremental").status == "completed"
    copy = copy_of(sync)
    assert len(copy.live) == 50 and set(copy.versions.values()) == {1}


def test_worker_that_hears_nothing_has_lost_its_run_within_a_second(sync, erp_server):
    """It waits for the system when the tick takes the run from it, and its page comes too late."""
    run = start_run(sync)
    with (
        held_page(erp_server, 2) as (asked, let_go),
        processes.running("-m", "tests.chaos.worker", str(run.pk)) as at_it,
    ):
        assert asked.wait(30)
        processes.until(lambda: records_of(sync.connection) == 10, seconds=10, what="a page is written")
        disconnect_connection(sync.connection, by="ann")
        with processes.running("manage.py", "tick", "--interval", "0.2"):
            processes.until(lambda: status_of(run) == "cancelled", seconds=15, what="the tick stops the run")
        before = written(sync)
        let_go.set()
        assert at_it.wait(20) == 0
    assert written(sync) == before and status_of(run) == "cancelled"


def test_frozen_worker_writes_nothing_into_what_was_purged(sync, erp_server):
    """Frozen with a page in its hands, it wakes up when the connection is gone."""
    run = start_run(sync)
    frozen = processes.worker(run.pk, "before_page", "SIGSTOP", "2")
    try:
        processes.until(lambda: processes.is_stopped(frozen), seconds=30, what="the worker freezes")
        delete_connection(sync.connection, by="ann")
        assert stop_disconnected_work() == 1
        while purge_deleted_connections():
            pass
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(30) == 0
    finally:
        processes.end(frozen)
    with scopes_disabled():
        assert not Connection.objects.exists() and not Record.objects.exists()
        assert all('"data":{}}' in body for body in Event.objects.values_list("body", flat=True))


# --- purging ----------------------------------------------------------------------------------------------------------

COPIES = 20_000
_COPY = """INSERT INTO syncs_record (id, workspace_id, connection_id, entity, remote_id, version, changed_at, written_at,
        body, raw, unified_digest, filters, last_change)
    SELECT gen_random_uuid(), workspace_id, connection_id, entity, 'copy-' || n, 1, changed_at, written_at,
        body, raw, unified_digest, filters, last_change
    FROM (SELECT * FROM syncs_record WHERE connection_id = %s LIMIT 1) AS one, generate_series(1, %s) AS n"""


@pytest.mark.parametrize(("point", "occurrence"), [("inside_batch", "60"), ("inside_end", "1")])
def test_purge_when_killed_and_done_twice_at_once_ends_right(sync, erp_server, point, occurrence):
    """20,000 records; one process is killed in the middle, two others go on together."""
    assert run_sync(sync).status == "completed"
    connection = sync.connection
    with database.cursor() as cursor:
        cursor.execute(_COPY, [connection.pk, COPIES])
    keeping = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    assert run_sync(sync_of(keeping)).status == "completed"
    kept = records_of(keeping)
    delete_connection(connection, by="ann")

    with processes.running("-m", "tests.chaos.purger", point, "SIGKILL", occurrence) as killed:
        assert killed.wait(30) == -signal.SIGKILL
    with scopes_disabled():
        assert Connection.objects.filter(pk=connection.pk).exists(), "it was killed before the end"
    with processes.running("-m", "tests.chaos.purger") as one, processes.running("-m", "tests.chaos.purger") as other:
        assert (one.wait(30), other.wait(30)) == (0, 0)
    with scopes_disabled():
        assert list(Connection.objects.values_list("pk", flat=True)) == [keeping.pk]
        shown = ids.show(Connection.PREFIX, connection.pk)
        (receipt,) = AuditEvent.objects.filter(object_id=shown, action="connection.purged")
        positions = Event.objects.filter(workspace=connection.workspace).order_by("position")
        assert list(positions.values_list("position", flat=True)) == list(range(1, len(positions) + 1))
    assert records_of(connection) == 0 and records_of(keeping) == kept
    assert receipt.details["rows"]["records"] == COPIES + 50, "counted once, and all of them"
