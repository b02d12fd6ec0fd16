"""Pages of a sync beside writes of our own: neither spoils what the other knows, and nothing is told twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection as database
from django.db import connections as databases
from django.db import transaction
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import card_of, open_connector
from core.errors import BusinessRuleError
from core.leases import claim
from syncs.choices import Mode, OperationKind, OperationStatus, Trigger
from syncs.engine import store
from syncs.engine.prepare import Rejected
from syncs.engine.run import execute_run
from syncs.engine.store import Scope
from syncs.engine.writing import PageWriter
from syncs.models import Operation, QuarantinedRecord, Record, Reread, Sync
from syncs.operations import outcomes
from syncs.operations.copying import Copier, record_id_of
from syncs.operations.outcomes import Ending
from syncs.services import request_run
from tests.connectors import TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, events_of, record_events, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
ENTITY, PREFIX = "purchase_order", "po"
FAILED = Ending(OperationStatus.FAILED, BusinessRuleError("The system said no."))


class OwnWrite:
    """One operation on the test system, driven step by step as its worker does. What it does there is the test's part."""

    def __init__(self, connection: Connection, remote_id: str = "", kind: str = OperationKind.UPDATE) -> None:
        self.connection = connection
        record_id = record_id_of(connection.pk, ENTITY, remote_id) if remote_id else None
        self.operation = Operation(
            workspace_id=connection.workspace_id,
            connection=connection,
            entity=ENTITY,
            kind=kind,
            record_id=record_id,
            remote_id=remote_id,
            calls=[{}],
        )
        with scopes_disabled():
            self.operation.save(force_insert=True)
            lease = claim(Operation, self.operation.pk, seconds=60)
        assert lease is not None
        self.lease = lease

    def begin(self) -> OwnWrite:
        with scopes_disabled():
            outcomes.begin_sending(self.lease, self.operation)
        return self

    def answered(self, remote_id: str) -> OwnWrite:
        with scopes_disabled():
            outcomes.answered(self.lease, self.operation, remote_id=remote_id, job=None)
        return self

    def read_back(self) -> Ending:
        """How it ends, by what the object is now."""
        with scopes_disabled(), open_connector(self.connection) as connector:
            copier = Copier(self.connection, card_of(self.connection, ENTITY).resource, connector)
            return Ending(OperationStatus.SUCCEEDED, seen=copier.read(self.operation.remote_id))

    def end(self, ending: Ending | None = None) -> None:
        ending = ending or self.read_back()
        with scopes_disabled():
            outcomes.finish(self.lease, self.operation, ending, prefix=PREFIX, environment=self.connection.environment)


GONE = Ending(OperationStatus.SUCCEEDED, gone=True)


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    erp_server.page_size = 10
    return connect(erp_server, page_size=10)


@pytest.fixture
def sync(connection: Connection, erp_server: TestErpServer) -> Sync:
    """Twenty orders, copied."""
    erp_server.add_orders(20)
    sync = sync_of(connection)
    assert run_sync(sync).status == "completed"
    return sync


@pytest.fixture
def before_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], None]:
    """Between the reading of a page and its commit something happens, once."""
    original = PageWriter.commit_page

    def on(page_no: int, act: Callable[[], Any]) -> None:
        todo = [act]

        def commit_page(self: PageWriter, prepared: Any, **page: Any) -> Any:
            if page["page_no"] == page_no and todo:
                todo.pop()()
            return original(self, prepared, **page)

        monkeypatch.setattr(PageWriter, "commit_page", commit_page)

    return on


def shown(connection: Connection, remote_id: str) -> str:
    return f"{PREFIX}_{record_id_of(connection.pk, ENTITY, remote_id).hex}"


def told(sync: Sync, remote_id: str) -> list[tuple[str, str]]:
    """(type, reason) of every event about a record, in order."""
    record = shown(sync.connection, remote_id)
    return [
        (event["type"], event["reason"])
        for event in events_of(sync)
        if event["type"].startswith("record.") and record in event["data"]["ids"]
    ]


def queued(sync: Sync) -> list[str]:
    with scopes_disabled():
        return sorted(Reread.objects.filter(sync=sync).values_list("remote_id", flat=True))


def record(sync: Sync, remote_id: str) -> Record:
    with scopes_disabled():
        return Record.objects.get(connection_id=sync.connection_id, entity=ENTITY, remote_id=remote_id)


def assert_copy_is_the_system(sync: Sync, server: TestErpServer) -> None:
    copy = copy_of(sync)
    assert {remote_id: row["notes"] for remote_id, row in copy.live.items()} == {
        remote_id: row["notes"] for remote_id, row in server.orders.items()
    }


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


def waits_for_a_lock() -> int:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
            " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        return int(cursor.fetchone()[0])


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(0.01)


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


def scope_of(sync: Sync) -> Scope:
    return Scope(sync.workspace_id, sync.connection_id, sync.pk, sync.entity)


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


# --- what it costs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What PostgreSQL is asked, prepared or not; COPY, BEGIN and COMMIT are not among it."""
    asked: list[str] = []
    original = psycopg.Cursor.execute

    def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(
            query if isinstance(query, str) else bytes(query).decode() if isinstance(query, bytes) else str(query)
        )
        return original(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", execute)
    return asked


def test_pages_when_nothing_is_written_by_us_then_each_costs_one_look_more_and_an_unchanged_one_none(
    erp_server, connection, statements
) -> None:
    erp_server.add_orders(100)
    sync = sync_of(connection)
    statements.clear()
    assert run_sync(sync).page_no == 10
    counted = Counter(
        name
        for statement in statements
        for name in (
            "FROM syncs_operation",
            "FOR UPDATE)",
            "INSERT INTO syncs_record ",
            "WITH moved",
            "workspaces_event",
        )
        if name in statement
    )
    assert counted["FROM syncs_operation"] == counted["FOR UPDATE)"] == counted["INSERT INTO syncs_record "] == 10
    assert counted["WITH moved"] == 10
    assert a_page(statements) == {5}, statements

    statements.clear()
    assert run_sync(sync, "full").unchanged_count == 100
    assert a_page(statements) == {2}, statements
    assert not [statement for statement in statements if "FROM syncs_operation" in statement]


def a_page(statements: list[str]) -> set[int]:
    """How many statements a page costs, once the first ones have warmed up."""
    checkpoints = [place for place, statement in enumerate(statements) if "WITH moved" in statement]
    return {after - before for before, after in pairwise(checkpoints[3:])}


def test_look_when_there_are_many_old_operations_then_the_index_answers_it(sync) -> None:
    OwnWrite(sync.connection, "1003").begin()
    OwnWrite(sync.connection, "1004").begin().end(FAILED)
    with database.cursor() as cursor:
        cursor.execute(
            """INSERT INTO syncs_operation (id, workspace_id, connection_id, entity, kind, action, status, stage, record_id,
                remote_id, request, "values", mark, calls, call_no, diff, not_applied, candidates, effect, request_digest,
                requested_by, origin, attempts, troubles, lookups, sent_at, done_at, resolved_by, fence,
                claims_without_progress)
            SELECT gen_random_uuid(), workspace_id, connection_id, entity, kind, '', 'succeeded', 'ended', gen_random_uuid(),
                i::text, '{}', '{}', '', '[]', 1, '[]', '[]', '[]', '', '', '', 'api', 1, 0, 0,
                now() - i * interval '1 minute', now() - i * interval '1 minute', '', 1, 0
            FROM syncs_operation, generate_series(1, 20000) AS i WHERE remote_id = '1003'"""
        )
        cursor.execute("ANALYZE syncs_operation")
        cursor.execute("SELECT clock_timestamp() - interval '1 minute'")
        (since,) = cursor.fetchone()
        values = {"connection": sync.connection_id, "entity": sync.entity, "since": since}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + store.OWN_WRITES, values)
        plan = str(cursor.fetchone()[0])
    assert "Seq Scan" not in plan and "operation_beside_pages" in plan
    found = store.own_writes(scope_of(sync), since)
    assert {record_id_of(sync.connection_id, ENTITY, remote_id).hex for remote_id in ("1003", "1004")} <= found
    assert len(found) <= 3


# --- all at once --------------------------------------------------------------------------------------------------------


WRITERS, WRITES = 3, 25


def test_many_own_updates_while_full_syncs_run_then_each_is_one_version_and_one_event(sync, erp_server) -> None:
    """Nothing stale is ever written: it would be a version more, and so would its correction."""
    turns = {remote_id: threading.Lock() for remote_id in erp_server.orders}  # as operations on a record take turns
    ids, errors, left = sorted(turns), [], [WRITERS]
    written: Counter[str] = Counter()

    def play(writer: int) -> None:
        try:
            for number in range(WRITES):
                remote_id = ids[(writer * 7 + number * 3) % len(ids)]
                with turns[remote_id]:
                    write = OwnWrite(sync.connection, remote_id).begin()
                    erp_server.change("orders", remote_id, notes=f"{writer}.{number}")
                    write.end()
                    written[remote_id] += 1
        except Exception as error:
            errors.append(error)
        finally:
            left[0] -= 1
            databases.close_all()

    threads = [threading.Thread(target=play, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    runs = 0
    while left[0] > 0 and runs < 500:
        assert run_sync(sync, "full" if runs % 2 else "incremental").status == "completed"
        runs += 1
    for thread in threads:
        thread.join(60)
    assert not errors and runs > 1 and sum(written.values()) == WRITERS * WRITES
    assert_copy_is_the_system(sync, erp_server)  # before any further run
    versions, events = copy_of(sync).versions, record_events(sync)
    assert {remote_id: version - 1 for remote_id, version in versions.items() if version > 1} == dict(written)
    for remote_id, version in versions.items():
        assert events["record.created", shown(sync.connection, remote_id)] == 1
        assert events["record.updated", shown(sync.connection, remote_id)] == version - 1
    run_sync(sync, "full")
    assert copy_of(sync).versions == versions and record_events(sync) == events and queued(sync) == []


def test_own_updates_beside_somebody_elses_while_syncs_run_then_the_copy_ends_as_the_system(sync, erp_server) -> None:
    """Some writes end without reading back, and others change the same objects: all of it arrives, told once each."""
    ids, errors, left = sorted(erp_server.orders)[:6], [], [2]

    def write_ours() -> None:
        try:
            for number in range(40):
                remote_id = ids[number % len(ids)]
                write = OwnWrite(sync.connection, remote_id).begin()
                erp_server.change("orders", remote_id, notes=f"ours {number}")
                write.end(FAILED if number % 4 == 0 else None)
        except Exception as error:
            errors.append(error)
        finally:
            left[0] -= 1
            databases.close_all()

    def change_theirs() -> None:
        for number in range(200):
            erp_server.change("orders", ids[number % len(ids)], notes=f"theirs {number}")
            threading.Event().wait(0.005)
        left[0] -= 1

    threads = [threading.Thread(target=write_ours), threading.Thread(target=change_theirs)]
    for thread in threads:
        thread.start()
    runs = 0
    while left[0] > 0 and runs < 500:
        assert run_sync(sync).status == "completed"
        runs += 1
    for thread in threads:
        thread.join(60)
    assert not errors and run_sync(sync).status == "completed"
    assert_copy_is_the_system(sync, erp_server)
    for remote_id, version in copy_of(sync).versions.items():
        assert record_events(sync)["record.updated", shown(sync.connection, remote_id)] == version - 1
    assert queued(sync) == []
