"""Pages of a sync beside writes of our own: neither spoils what the other knows, and nothing is told twice."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import orjson
import pytest
from django.db import connection as database
from django.db import connections as databases
from django.db import transaction
from django_scopes import scopes_disabled

from syncs.choices import Mode, OperationKind, Trigger
from syncs.engine import store
from syncs.engine.prepare import Rejected
from syncs.engine.run import execute_run
from syncs.models import QuarantinedRecord
from syncs.operations.copying import record_id_of
from syncs.operations.outcomes import Ending
from syncs.services import request_run
from tests.connectors import TestErp, erp_connector, erp_server  # noqa: F401
from tests.own_writing import (  # noqa: F401
    ENTITY,
    FAILED,
    GONE,
    OwnWrite,
    assert_copy_is_the_system,
    before_commit,
    connection,
    queued,
    record,
    scope_of,
    sync,
    told,
    until,
    waits_for_a_lock,
)
from tests.syncing import copy_of, record_events, run_sync

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]

# --- the four ways to meet ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_page_when_read_before_an_own_update_and_committed_after_it_then_the_update_stays(
    sync, erp_server, before_commit, mode
) -> None:
    erp_server.change("orders", "1003", notes="somebody else's, before ours")

    def update() -> None:
        write = OwnWrite(sync.connection, "1003").begin()
        erp_server.change("orders", "1003", notes="ours")
        write.end()

    before_commit(1, update)
    run = run_sync(sync, mode)
    assert (run.status, run.read_count, run.updated_count) == ("completed", 20, 0)
    assert_copy_is_the_system(sync, erp_server)
    assert copy_of(sync).versions["1003"] == 2 and queued(sync) == []
    assert told(sync, "1003") == [("record.created", "initial"), ("record.updated", "operation")]
    run_sync(sync, "full")
    assert len(told(sync, "1003")) == 2


def test_page_when_an_own_write_is_under_way_then_its_row_is_left_to_it_and_read_by_a_later_run(
    sync, erp_server, before_commit
) -> None:
    write = OwnWrite(sync.connection, "1003").begin()
    erp_server.change("orders", "1003", notes="ours")
    erp_server.forget_calls()
    run = run_sync(sync, "full")
    assert (run.status, run.updated_count, run.unchanged_count) == ("completed", 0, 20)
    assert copy_of(sync).live["1003"]["notes"] != "ours"
    assert queued(sync) == ["1003"] and not erp_server.calls_to("/orders/1003")
    write.end()
    assert_copy_is_the_system(sync, erp_server)
    erp_server.forget_calls()
    assert run_sync(sync).status == "completed" and queued(sync) == []
    assert told(sync, "1003") == [("record.created", "initial"), ("record.updated", "operation")]


def test_page_when_read_before_an_own_delete_and_committed_after_it_then_the_tombstone_stays(
    sync, erp_server, before_commit
) -> None:
    erp_server.change("orders", "1003", notes="somebody else's, before ours")

    def delete() -> None:
        write = OwnWrite(sync.connection, "1003", OperationKind.DELETE).begin()
        erp_server.delete("orders", "1003")
        write.end(GONE)

    before_commit(1, delete)
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 0)
    assert copy_of(sync).deleted == {"1003"} and queued(sync) == []
    assert told(sync, "1003") == [("record.created", "initial"), ("record.deleted", "operation")]


@pytest.mark.parametrize("order", ["page first", "page between", "write first"])
def test_own_create_when_a_page_shows_it_too_then_it_is_told_once(sync, erp_server, before_commit, order) -> None:
    write = OwnWrite(sync.connection, kind=OperationKind.CREATE).begin()
    erp_server.add_orders(1, first=2000, notes="ours")
    if order == "page first":
        run_sync(sync, "full")
        write.answered("2000").end()
    elif order == "page between":
        write.answered("2000")
        run_sync(sync, "full")
        write.end()
    else:
        before_commit(3, lambda: write.answered("2000").end())
        run_sync(sync, "full")
    reason = "full" if order == "page first" else "operation"
    assert told(sync, "2000") == [("record.created", reason)]
    assert run_sync(sync, "full").status == "completed"
    assert told(sync, "2000") == [("record.created", reason)] and queued(sync) == []
    assert copy_of(sync).versions["2000"] == 1
    assert_copy_is_the_system(sync, erp_server)


def test_page_when_a_write_ends_while_it_waits_for_the_sync_then_it_sees_how(sync, erp_server, before_commit) -> None:
    """Two sessions, and a create whose object becomes known with its end: what is looked up is as new as the lock."""
    write = OwnWrite(sync.connection, kind=OperationKind.CREATE).begin()
    erp_server.add_orders(1, first=2000, notes="ours, half of it")
    begun, errors, threads = threading.Event(), [], []

    def end(ending: Ending) -> None:
        try:
            with transaction.atomic():
                write.end(ending)
                begun.set()
                until(lambda: waits_for_a_lock() == 1)
        except Exception as error:
            errors.append(error)
        finally:
            databases.close_all()

    def end_beside() -> None:
        erp_server.change("orders", "2000", notes="ours")
        write.operation.remote_id, write.operation.record_id = "2000", record_id_of(sync.connection_id, ENTITY, "2000")
        threads.append(threading.Thread(target=end, args=(write.read_back(),)))
        threads[0].start()
        assert begun.wait(10)

    before_commit(3, end_beside)
    run = run_sync(sync, "full")
    threads[0].join(10)
    assert not errors and run.status == "completed"
    assert_copy_is_the_system(sync, erp_server)
    assert told(sync, "2000") == [("record.created", "operation")] and queued(sync) == []


# --- reading again ------------------------------------------------------------------------------------------------------


def test_page_when_the_write_ended_without_reading_back_then_the_run_reads_what_it_left_out(
    sync, erp_server, before_commit
) -> None:
    """Otherwise an incremental sync would never see it again: its cursor has moved on."""
    erp_server.change("orders", "1003", notes="somebody else's")
    before_commit(1, lambda: OwnWrite(sync.connection, "1003").begin().end(FAILED))
    erp_server.forget_calls()
    run = run_sync(sync)
    assert (run.status, run.updated_count) == ("completed", 1)
    assert len(erp_server.calls_to("/orders/1003")) == 1
    assert_copy_is_the_system(sync, erp_server)
    assert told(sync, "1003") == [("record.created", "initial"), ("record.updated", "incremental")]
    assert queued(sync) == []


def test_reading_again_when_the_object_is_gone_then_it_is_a_tombstone(sync, erp_server, before_commit) -> None:
    erp_server.change("orders", "1003", notes="somebody else's")

    def act() -> None:
        OwnWrite(sync.connection, "1003").begin().end(FAILED)
        erp_server.delete("orders", "1003")

    before_commit(1, act)
    run = run_sync(sync)
    assert (run.status, run.deleted_count) == ("completed", 1)
    assert copy_of(sync).deleted == {"1003"} and queued(sync) == []
    assert told(sync, "1003")[1:] == [("record.deleted", "incremental")]


def test_reading_again_when_it_is_written_meanwhile_then_that_write_wins_too(
    sync, erp_server, before_commit, monkeypatch
) -> None:
    erp_server.change("orders", "1003", notes="somebody else's")
    before_commit(1, lambda: OwnWrite(sync.connection, "1003").begin().end(FAILED))
    original, todo = TestErp.fetch_one, [1]

    def fetch_one(self: TestErp, resource: Any, remote_id: str) -> bytes:
        raw: bytes = original(self, resource, remote_id)
        if todo:
            todo.pop()
            write = OwnWrite(sync.connection, remote_id).begin()
            erp_server.change("orders", remote_id, notes="ours")
            write.end()
        return raw

    monkeypatch.setattr(TestErp, "fetch_one", fetch_one)
    assert run_sync(sync).status == "completed" and queued(sync) == []
    assert_copy_is_the_system(sync, erp_server)
    assert told(sync, "1003")[1:] == [("record.updated", "operation")]


def test_reading_again_when_the_system_cannot_then_the_next_page_is_believed(
    sync, erp_server, before_commit, monkeypatch
) -> None:
    monkeypatch.setattr(TestErp, "purchase_orders", replace(TestErp.purchase_orders, detail=""))
    erp_server.change("orders", "1003", notes="somebody else's")
    before_commit(1, lambda: OwnWrite(sync.connection, "1003").begin().end(FAILED))
    assert run_sync(sync, "full").status == "completed" and queued(sync) == []
    assert record(sync, "1003").fingerprint is None
    assert run_sync(sync, "full").updated_count == 1
    assert_copy_is_the_system(sync, erp_server)


class Killed(BaseException):
    """The process is gone, as far as the engine can tell."""


def test_reading_again_when_the_worker_dies_before_it_then_the_queue_survives(
    sync, erp_server, before_commit, monkeypatch
) -> None:
    erp_server.change("orders", "1003", notes="somebody else's")
    erp_server.change("orders", "1004", notes="somebody else's")

    def act() -> None:
        for remote_id in ("1003", "1004"):
            OwnWrite(sync.connection, remote_id).begin().end(FAILED)

    before_commit(1, act)
    original = TestErp.fetch_one

    def fetch_one(self: TestErp, resource: Any, remote_id: str) -> bytes:
        if remote_id == "1004":
            raise Killed
        return bytes(original(self, resource, remote_id))

    monkeypatch.setattr(TestErp, "fetch_one", fetch_one)
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.COMMAND).run
    with pytest.raises(Killed):
        execute_run(run.pk)
    assert queued(sync) == ["1004"]
    monkeypatch.setattr(TestErp, "fetch_one", original)
    with database.cursor() as cursor:
        cursor.execute("UPDATE syncs_syncrun SET lease_until = clock_timestamp() WHERE id = %s", [run.pk])
    erp_server.forget_calls()
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.updated_count) == ("completed", 2) and queued(sync) == []
    assert [call.path for call in erp_server.calls_to("/orders")] == ["/orders/1004"]
    assert_copy_is_the_system(sync, erp_server)
    assert set(record_events(sync).values()) == {1}


def test_reading_again_when_the_budget_ends_then_it_goes_on_later(sync, erp_server, before_commit, monkeypatch) -> None:
    ids = [str(number) for number in range(1001, 1009)]
    for remote_id in ids:
        erp_server.change("orders", remote_id, notes="somebody else's")

    def act() -> None:
        for remote_id in ids:
            OwnWrite(sync.connection, remote_id).begin().end(FAILED)

    before_commit(1, act)
    taken = {"calls": 0}

    def take_call(connection: Any, limits: Any) -> float:
        taken["calls"] += 1
        return 0.001 if taken["calls"] % 4 == 0 else 0.0

    monkeypatch.setattr("syncs.engine.walk.take_call", take_call)
    erp_server.forget_calls()
    run = run_sync(sync, rounds=10)
    assert (run.status, run.updated_count) == ("completed", 8) and run.fence > 2 and queued(sync) == []
    assert sorted(call.path for call in erp_server.calls_to("/orders/")) == [f"/orders/{found}" for found in ids]


def test_queue_when_a_later_page_shows_the_object_then_it_is_not_read_alone(sync, erp_server, before_commit) -> None:
    """So nothing that answers badly by itself can hold a sync up for longer than until the next complete walk."""
    write = OwnWrite(sync.connection, "1003").begin()
    erp_server.change("orders", "1003", notes="ours")
    run_sync(sync, "full")
    write.end(FAILED)
    assert queued(sync) == ["1003"]
    erp_server.forget_calls()
    assert run_sync(sync, "full").updated_count == 1
    assert queued(sync) == [] and not erp_server.calls_to("/orders/1003")
    assert_copy_is_the_system(sync, erp_server)


# --- what is not a page -------------------------------------------------------------------------------------------------


def test_quarantine_when_older_than_an_own_write_then_it_is_read_again_instead(sync, erp_server) -> None:
    stale = orjson.dumps({**erp_server.orders["1003"], "notes": "stale"})
    rejected = Rejected(
        record_id_of(sync.connection_id, ENTITY, "1003").hex, "1003", stale, "MAPPING_FAILED", "as it was"
    )
    store.quarantine(scope_of(sync), [rejected])
    write = OwnWrite(sync.connection, "1003").begin()
    erp_server.change("orders", "1003", notes="ours")
    write.end()
    assert run_sync(sync).status == "completed"
    assert_copy_is_the_system(sync, erp_server)
    with scopes_disabled():
        assert not QuarantinedRecord.objects.exists()
    assert told(sync, "1003")[1:] == [("record.updated", "operation")]


def test_page_when_what_it_shows_cannot_be_mapped_and_we_wrote_it_then_it_is_not_set_aside(
    sync, erp_server, before_commit
) -> None:
    erp_server.change("orders", "1003", total="twelve")

    def mend() -> None:
        write = OwnWrite(sync.connection, "1003").begin()
        erp_server.change("orders", "1003", total="12.00")
        write.end()

    before_commit(1, mend)
    run = run_sync(sync)
    assert (run.status, run.quarantined_count) == ("completed", 0)
    assert not copy_of(sync).quarantined and copy_of(sync).live["1003"]["total_amount"] == "12.00"


def test_remap_when_a_record_is_written_meanwhile_then_the_write_stays(sync, erp_server, before_commit) -> None:
    def act() -> None:
        update = OwnWrite(sync.connection, "1003").begin()
        erp_server.change("orders", "1003", notes="ours")
        update.end()
        delete = OwnWrite(sync.connection, "1004", OperationKind.DELETE).begin()
        erp_server.delete("orders", "1004")
        delete.end(GONE)

    before_commit(1, act)
    erp_server.forget_calls()
    assert run_sync(sync, "remap").status == "completed"
    assert not [call for call in erp_server.calls_to("/orders") if call.path == "/orders"]
    assert_copy_is_the_system(sync, erp_server)
    assert copy_of(sync).deleted == {"1004"} and queued(sync) == ["1003", "1004"]
    assert run_sync(sync).status == "completed" and queued(sync) == []
    assert [kind for kind, _ in told(sync, "1003") + told(sync, "1004")].count("record.updated") == 1


def test_cleared_fingerprint_when_remapped_then_it_stays_cleared_until_a_page_rewrites_the_row(
    sync, erp_server
) -> None:
    OwnWrite(sync.connection, "1003").begin().end(FAILED)
    assert record(sync, "1003").fingerprint is None
    assert run_sync(sync, "remap").status == "completed"
    assert record(sync, "1003").fingerprint is None
    run = run_sync(sync, "full")
    assert (run.updated_count, run.unchanged_count) == (0, 20)
    found = record(sync, "1003")
    assert (found.run_id, found.last_change, found.version) == (run.pk, "same", 1) and found.fingerprint is not None
    assert record(sync, "1004").run_id != run.pk  # skipped, as always


def test_sweep_when_a_record_was_made_by_us_behind_its_page_then_it_lives(sync, erp_server, before_commit) -> None:
    def create() -> None:
        write = OwnWrite(sync.connection, kind=OperationKind.CREATE).begin()
        erp_server.add_orders(1, first=100, notes="ours")  # sorts before the pages read already
        write.answered("100").end()

    before_commit(2, create)
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 0)
    assert told(sync, "100") == [("record.created", "operation")]
    assert_copy_is_the_system(sync, erp_server)
