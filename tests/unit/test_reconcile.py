"""`manage.py reconcile`, and that who waits for an outcome keeps no session of the pool."""

from __future__ import annotations

import io
import json
import threading
from copy import deepcopy
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.db import connections
from django.db.utils import load_backend
from django_scopes import scope

from connections.models import Connection
from syncs.api import waiting
from syncs.choices import OperationKind
from syncs.models import Operation
from syncs.services.writes import Wish, request_operation
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.operating import due_now
from tests.writing import work_once, writing_erp  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]
NEW = {"vendor": "7", "notes": "Gate 3"}


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def wanted(connection: Connection, entity: str = "purchase_order", body: Any = None) -> Operation:
    with scope(workspace=connection.workspace_id):
        return request_operation(connection, Wish(entity, OperationKind.CREATE, body or NEW)).operation


def reconcile(*arguments: str) -> tuple[str, str]:
    """What it prints, and what it complains of."""
    out = io.StringIO()
    try:
        call_command("reconcile", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def told(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    out, complaint = reconcile(*arguments, "--json")
    return json.loads(out)["data"], complaint


def test_reconcile_when_the_object_is_there_then_it_was_done(connection, erp_server):
    erp_server.fail("truncated", on="/orders", times=1)
    operation = wanted(connection)
    work_once()
    (found,), complaint = told("--connection", f"con_{connection.pk.hex}")
    assert (found["id"], found["status"], complaint) == (f"op_{operation.pk.hex}", "succeeded", "")
    assert len(erp_server.orders) == 1
    assert reconcile()[0] == "No write has an outcome that is not known.\n"


def test_reconcile_when_it_was_not_done_then_it_is_sent_again_once_that_is_sure(connection, erp_server):
    erp_server.fail("http_500", on="/orders", times=1)
    operation = wanted(connection)
    work_once()
    (found,), complaint = told("--operation", f"op_{operation.pk.hex}")
    assert (found["status"], complaint) == ("unknown", "1 of 1 operations are open still."), "it may come yet"
    assert erp_server.orders == {}
    due_now(operation, settled=True)
    assert told()[0][0]["status"] == "succeeded" and len(erp_server.orders) == 1


def test_reconcile_when_nobody_can_tell_then_a_person_must(connection, erp_server):
    erp_server.fail("truncated", on="/vendors", times=1)
    wanted(connection, "vendor", {"name": "Nordring"})
    work_once()
    work_once()
    table, complaint = reconcile()
    assert "create vendor" in table and "needs_review" in table and complaint
    other = connect(erp_server)
    assert told("--connection", f"con_{other.pk.hex}") == ([], "")
    assert reconcile("--operation", "op_1")[1] == "There is no operation 'op_1'."


def test_reconcile_when_it_has_ended_then_it_is_left_as_it_is(connection, erp_server):
    operation = wanted(connection)
    work_once()
    (found,), complaint = told("--operation", f"op_{operation.pk.hex}")
    assert (found["status"], complaint) == ("succeeded", "") and len(erp_server.orders) == 1


def test_wait_when_sessions_come_from_a_pool_then_none_is_kept(connection):
    """Two wait, and eight others share a pool of one session meanwhile."""
    operation = wanted(connection)
    settings = deepcopy(database.settings_dict)
    settings["CONN_MAX_AGE"], settings["OPTIONS"]["pool"] = 0, {"min_size": 1, "max_size": 1, "timeout": 5}
    backend: Any = load_backend(settings["ENGINE"])
    waits, errors = threading.Barrier(3), []

    def within_pool(work: Any) -> None:
        connections["default"] = backend.DatabaseWrapper(settings, "pooled")
        try:
            with scope(workspace=connection.workspace_id):
                work()
        except Exception as error:  # told by the test
            errors.append(error)
        finally:
            connections["default"].close()

    def wait() -> None:
        waits.wait(10)
        waiting.wait_for_all([operation.pk], 30)

    def ask() -> None:
        for _ in range(5):
            assert Operation.objects.filter(pk=operation.pk).exists()
            database.close()

    waiters = [threading.Thread(target=within_pool, args=[wait]) for _ in range(2)]
    others = [threading.Thread(target=within_pool, args=[ask]) for _ in range(8)]
    try:
        for thread in waiters:
            thread.start()
        waits.wait(10)
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(30)
        assert all(thread.is_alive() for thread in waiters), "they wait still"
    finally:
        work_once()
        for thread in waiters:
            thread.join(30)
        backend.DatabaseWrapper(settings, "pooled").close_pool()
    assert errors == []
