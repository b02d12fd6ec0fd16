"""Workers killed and frozen at exact points of one write: it is done once, or not at all, and told once."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from django.db import connections as databases

from connections.models import Connection
from integrations.simulators.kit.server import Simulator
from syncs.models import Operation
from syncs.operations.execute import execute_operation
from syncs.packing import body_of
from tests.chaos import processes
from tests.chaos.operating import (  # noqa: F401
    ORDER,
    chaos_plant,
    cmms,
    is_deleted_here,
    killed_at,
    last_entry,
    lease_has_run_out,
    let_lease_run_out,
    object_of,
    reload,
    seen,
    work,
    work_to_the_end,
)
from tests.operating import ACTION, CREATE, DELETE, UPDATE, record_of, wanted

pytestmark = pytest.mark.django_db(transaction=True)

TITLE = "Replace the seal of P-101"
EFFECTS = {"create": "created", "update": "updated", "action": "updated", "delete": "deleted"}
TOLD = {"create": "record.created", "update": "record.updated", "action": "record.updated", "delete": "record.deleted"}


def wish(plant: Connection, kind: str) -> Operation:
    if kind == "create":
        return wanted(plant, "work_order", CREATE, {"title": TITLE})
    if kind == "update":
        return wanted(plant, "work_order", UPDATE, {"title": TITLE}, remote_id=ORDER)
    if kind == "delete":
        return wanted(plant, "work_order", DELETE, {}, remote_id=ORDER)
    return wanted(plant, "work_order", ACTION, {}, remote_id=ORDER, action="hold")


def check_done(operation: Operation, simulator: Simulator, *, since: int, requests: int) -> None:
    """It stands there once, so it does here, and each thing was told once."""
    assert (operation.status, operation.error, operation.not_applied) == ("succeeded", None, [])
    found = seen(operation, simulator, since=since)
    assert found.effects == [EFFECTS[operation.kind]]
    assert found.requests == requests
    assert found.events == {TOLD[operation.kind]: 1, "operation.succeeded": 1}
    there, record = object_of(operation, simulator), record_of(operation)
    assert record is not None
    if operation.kind == "delete":
        assert there["deletedAt"] and is_deleted_here(operation)
    elif operation.kind == "action":
        assert there["status"] == "ON_HOLD" and "ON_HOLD" in body_of(record)
    else:
        assert there["title"] == TITLE and TITLE in body_of(record)


KINDS = ["create", "update", "action", "delete"]
POINTS = ["before_intent", "after_intent", "sent", "answered", "holding_locks", "ended"]


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        *[(kind, point) for kind in ("create", "update") for point in POINTS],
        *[(kind, point) for kind in ("action", "delete") for point in ("after_intent", "sent", "answered")],
    ],
)
def test_worker_when_killed_then_the_next_one_ends_it_as_if_undisturbed(
    chaos_plant: Connection, cmms: Simulator, kind: str, point: str
) -> None:
    since = last_entry(cmms)
    operation = wish(chaos_plant, kind)
    killed_at(operation, point)
    if point != "ended":
        assert reload(operation).status == "running"
        work_to_the_end(operation)
    check_done(reload(operation), cmms, since=since, requests=1)


@pytest.mark.parametrize("kind", ["create", "update"])
def test_worker_when_killed_inside_the_copy_then_the_next_one_reads_back(
    chaos_plant: Connection, cmms: Simulator, kind: str
) -> None:
    since = last_entry(cmms)
    operation = wish(chaos_plant, kind)
    killed_at(operation, "inside_copy")
    assert (reload(operation).status, operation.stage) == ("running", "applied")
    work_to_the_end(operation)
    check_done(operation, cmms, since=since, requests=1)


@pytest.mark.parametrize("kind", KINDS)
def test_worker_when_frozen_before_the_first_byte_then_awake_it_sends_nothing(
    chaos_plant: Connection, cmms: Simulator, kind: str
) -> None:
    """The intent is committed, the lease runs out by the clock, another worker does it; then the first one wakes up."""
    since = last_entry(cmms)
    operation = wish(chaos_plant, kind)
    frozen = processes.operation_worker(operation.pk, "after_intent", "SIGSTOP")
    try:
        processes.until(lambda: processes.is_stopped(frozen), seconds=30, what="the worker freezes")
        processes.until(lambda: lease_has_run_out(operation), seconds=20, what="its lease runs out")
        work_to_the_end(operation)
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(30) == 0
    finally:
        processes.end(frozen)
    check_done(reload(operation), cmms, since=since, requests=1)


def test_worker_when_frozen_and_nobody_came_meanwhile_then_awake_it_sends_nothing(
    chaos_plant: Connection, cmms: Simulator
) -> None:
    since = last_entry(cmms)
    operation = wish(chaos_plant, "create")
    frozen = processes.operation_worker(operation.pk, "after_intent", "SIGSTOP")
    try:
        processes.until(lambda: processes.is_stopped(frozen), seconds=30, what="the worker freezes")
        processes.until(lambda: lease_has_run_out(operation), seconds=20, what="its lease runs out")
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(30) == 0
    finally:
        processes.end(frozen)
    assert seen(operation, cmms, since=since).requests == 0
    work_to_the_end(operation)
    check_done(operation, cmms, since=since, requests=1)


def test_workers_when_told_of_it_at_once_then_one_does_it(chaos_plant: Connection, cmms: Simulator) -> None:
    since = last_entry(cmms)
    cmms.control.settings(latency_ms=300)
    operation = wish(chaos_plant, "create")
    together = [processes.operation_worker(operation.pk) for _ in range(2)]
    try:
        assert [process.wait(30) for process in together] == [0, 0]
    finally:
        for process in together:
            processes.end(process)
    check_done(reload(operation), cmms, since=since, requests=1)


def test_threads_when_told_of_the_same_operations_at_once_then_each_is_done_once(
    chaos_plant: Connection, cmms: Simulator
) -> None:
    since = last_entry(cmms)
    operations = [wanted(chaos_plant, "work_order", CREATE, {"title": f"Round {number}"}) for number in range(8)]
    barrier = threading.Barrier(3)

    def work_on_all() -> None:
        try:
            for operation in operations:
                barrier.wait(30)
                execute_operation(operation.pk)
        finally:
            databases.close_all()

    threads = [threading.Thread(target=work_on_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {reload(operation).status for operation in operations} == {"succeeded"}
    titles = [entry["body"]["title"] for entry in cmms.control.journal(since)]
    assert sorted(titles) == [f"Round {number}" for number in range(8)]


def test_worker_when_killed_again_and_again_then_a_person_must_look(chaos_plant: Connection, cmms: Simulator) -> None:
    """A write that kills its worker is not tried for ever; what it may have done is not guessed."""
    since = last_entry(cmms)
    operation = wish(chaos_plant, "create")
    killed_at(operation, "sent")
    for _ in range(5):
        process: Any = processes.operation_worker(operation.pk, "claimed", "SIGKILL")
        try:
            assert process.wait(30) == -signal.SIGKILL
        finally:
            processes.end(process)
        let_lease_run_out(operation)
    assert work(operation) == 0
    assert (reload(operation).status, (operation.error or {})["code"]) == ("needs_review", "NO_PROGRESS")
    found = seen(operation, cmms, since=since)
    assert (found.effects, found.events) == (["created"], {"operation.needs_review": 1})
