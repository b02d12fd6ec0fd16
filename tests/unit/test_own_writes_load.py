"""Writes of our own beside syncs: what looking out for them costs, and many of both at once."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import connection as database
from django.db import connections as databases

from syncs.engine import store
from syncs.operations.copying import record_id_of
from tests.connectors import erp_connector, erp_server  # noqa: F401
from tests.own_writing import (  # noqa: F401
    ENTITY,
    FAILED,
    OwnWrite,
    assert_copy_is_the_system,
    connection,
    queued,
    scope_of,
    shown,
    sync,
)
from tests.syncing import copy_of, record_events, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]

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
    looks = [statement for statement in statements if "FROM syncs_operation" in statement]
    assert len(looks) == 10
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
