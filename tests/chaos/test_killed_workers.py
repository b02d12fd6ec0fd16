"""Workers killed and frozen at exact points of a run: the outcome is that of an undisturbed one."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from syncs.choices import Mode, Trigger
from syncs.models import Sync, SyncRun
from syncs.services import request_run, sync_status
from tests.chaos import processes
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.syncing import copy_of, events_of, record_events, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chaos_connector")]


@pytest.fixture
def chaos_connector(settings: Any) -> None:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosErp"]
    settings.SYNC_LEASE_MARGIN_SECONDS = 1


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    erp_server.page_size = 10
    return sync_of(connect(erp_server, page_size=10))


def request(sync: Sync, mode: str) -> SyncRun:
    with scopes_disabled():
        return request_run(sync, Mode(mode), trigger=Trigger.COMMAND).run


def let_lease_run_out(run: SyncRun) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE syncs_syncrun SET lease_until = clock_timestamp() - interval '1 s' WHERE id = %s", [run.pk]
        )


def state_of(run: SyncRun) -> str:
    with scopes_disabled():
        return str(SyncRun.objects.values_list("status", flat=True).get(pk=run.pk))


def shown_status(sync: Sync) -> str:
    with scopes_disabled():
        return sync_status([sync.connection])[0].entities[0].status


def prepare(server: TestErpServer, sync: Sync, mode: str) -> None:
    """Thirty orders; for a full run a copy of them, four of which are gone and two changed at the source."""
    server.add_orders(30)
    if mode == "full":
        run_sync(sync)
        server.delete("orders", "1002", "1005", "1012", "1025")
        server.change("orders", "1003", status="done", updated_at="2026-11-20T08:00:00Z")
        server.change("orders", "1021", status="void", updated_at="2026-11-20T08:00:00Z")


def check_outcome(sync: Sync, mode: str) -> None:
    """Records, versions and events as an undisturbed run leaves them; the feed without a gap."""
    copy, told = copy_of(sync), record_events(sync)
    gone = {"1002", "1005", "1012", "1025"} if mode == "full" else set()
    assert set(copy.live) | copy.deleted == {str(n) for n in range(1001, 1031)}
    assert copy.deleted == gone and not copy.quarantined
    assert set(told.values()) == {1}, "an event was doubled"
    expected = Counter({"record.created": 30})
    if mode == "full":
        expected += Counter({"record.updated": 2, "record.deleted": 4})
        assert copy.live["1003"]["status"] == "received" and copy.versions["1003"] == 2
    assert Counter(kind for kind, _ in told) == expected
    positions = [event["position"] for event in events_of(sync)]
    assert positions == list(range(1, len(positions) + 1))


@pytest.mark.parametrize(
    ("mode", "point", "occurrence"),
    [
        ("initial", "before_page", "2"),
        ("initial", "inside_copy", "2"),
        ("initial", "holding_locks", "2"),
        ("initial", "after_page", "2"),
        ("full", "after_page", "1"),
        ("full", "before_sweep", "1"),
        ("full", "inside_sweep", "1"),
        ("full", "after_sweep", "1"),
    ],
)
def test_worker_when_killed_then_the_next_one_ends_as_if_undisturbed(sync, erp_server, mode, point, occurrence):
    prepare(erp_server, sync, mode)
    run = request(sync, mode)
    process = processes.worker(run.pk, point, "SIGKILL", occurrence)
    try:
        assert process.wait(30) == -signal.SIGKILL
    finally:
        processes.end(process)
    assert state_of(run) == "running" and shown_status(sync) == "in_progress"
    let_lease_run_out(run)
    second = processes.worker(run.pk)
    try:
        assert second.wait(30) == 0
    finally:
        processes.end(second)
    run.refresh_from_db()
    assert (run.status, run.error) == ("completed", None)
    assert shown_status(sync) == "completed"
    check_outcome(sync, mode)


def test_worker_when_killed_inside_a_fetch_then_the_next_one_ends_as_if_undisturbed(sync, erp_server):
    prepare(erp_server, sync, "initial")
    run = request(sync, "initial")
    process = processes.worker(run.pk)
    original = erp_server.answer

    def kill_at_second_page(call: Any) -> Any:
        if "cursor" in call.parameters and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        return original(call)

    erp_server.answer = kill_at_second_page  # type: ignore[method-assign]
    try:
        assert process.wait(30) == -signal.SIGKILL
    finally:
        processes.end(process)
    erp_server.answer = original  # type: ignore[method-assign]
    let_lease_run_out(run)
    second = processes.worker(run.pk)
    try:
        assert second.wait(30) == 0
    finally:
        processes.end(second)
    assert state_of(run) == "completed"
    check_outcome(sync, "initial")


@pytest.mark.parametrize("point", ["before_page", "inside_copy", "holding_locks"])
def test_worker_when_frozen_past_its_lease_then_it_neither_writes_nor_blocks_the_next(sync, erp_server, point):
    """A worker that holds row locks is ended by the database within ten seconds; the next waits no longer."""
    prepare(erp_server, sync, "initial")
    run = request(sync, "initial")
    frozen = processes.worker(run.pk, point, "SIGSTOP", "2")
    second = None
    try:
        processes.until(lambda: processes.is_stopped(frozen), seconds=30, what="the worker freezes")
        if point == "holding_locks":
            processes.until(lambda: _lock_is_free(run), seconds=20, what="the frozen session is ended")
        let_lease_run_out(run)
        second = processes.worker(run.pk)
        assert second.wait(30) == 0
        assert state_of(run) == "completed"
        before = copy_of(sync), record_events(sync)
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.wait(30)
        assert (copy_of(sync), record_events(sync)) == before
        assert state_of(run) == "completed"
    finally:
        for process in (frozen, second):
            if process is not None:
                processes.end(process)
    check_outcome(sync, "initial")


def _lock_is_free(run: SyncRun) -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT id FROM syncs_syncrun WHERE id = %s FOR UPDATE SKIP LOCKED", [run.pk])
        return cursor.fetchone() is not None
