"""Writes of our own on the test system, played step by step beside its syncs, and what came of both.

# ruff: noqa: F811 (fixtures are imported)
from tests.own_writing import before_commit, connection, sync  # noqa: F401

def test_...(sync, erp_server, before_commit):
    write = OwnWrite(sync.connection, "1003").begin()
    erp_server.change("orders", "1003", notes="ours")
    write.end()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import card_of, open_connector
from core.errors import BusinessRuleError
from core.leases import claim
from syncs.choices import OperationKind, OperationStatus
from syncs.engine.store import Scope
from syncs.engine.writing import PageWriter
from syncs.models import Operation, Record, Reread, Sync
from syncs.operations import outcomes
from syncs.operations.copying import Copier, record_id_of
from syncs.operations.outcomes import Ending
from tests.connectors import TestErpServer, connect
from tests.syncing import copy_of, events_of, run_sync, sync_of

ENTITY, PREFIX = "purchase_order", "po"
# An end that reads nothing back, and that of a delete.
FAILED = Ending(OperationStatus.FAILED, BusinessRuleError("The system said no."))
GONE = Ending(OperationStatus.SUCCEEDED, gone=True)


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


def scope_of(sync: Sync) -> Scope:
    return Scope(sync.workspace_id, sync.connection_id, sync.pk, sync.entity)


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


# --- fixtures -------------------------------------------------------------------------------------------------------


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
