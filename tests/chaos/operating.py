"""One operation executed by worker processes, and what came of it on both sides.

# ruff: noqa: F811 (fixtures are imported)
from tests.chaos.operating import chaos_plant, cmms  # noqa: F401
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection
from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from syncs.models import Operation
from tests.chaos import processes
from tests.operating import connect_cmms, due_now, record_of
from tests.syncing import events_of, run_sync, sync_of

ORDER = "5000001"


@pytest.fixture
def cmms() -> Iterator[Simulator]:
    with running("maintainx", scale=0.1) as simulator:
        yield simulator


@pytest.fixture
def chaos_plant(cmms: Simulator, settings: Any) -> Connection:
    """A connection whose work orders are copied; a lease lasts four seconds."""
    settings.CONNECTORS = ["tests.chaos.connector.ChaosMaintainX"]
    settings.SYNC_LEASE_MARGIN_SECONDS = 1
    plant = connect_cmms(cmms)
    assert run_sync(sync_of(plant, "work_order"), rounds=3).status == "completed"
    return plant


def work(operation: Operation, *point: str) -> int:
    """Let a worker process work on it once. Its exit code; minus the signal that ended it."""
    process = processes.operation_worker(operation.pk, *point)
    try:
        return process.wait(30)
    finally:
        processes.end(process)


def work_to_the_end(operation: Operation, *, rounds: int = 6) -> None:
    """Worker after worker; waiting is skipped, and what was sent counts as settled."""
    for _ in range(rounds):
        due_now(operation, settled=True)
        assert work(operation) == 0
        if reload(operation).status in ("succeeded", "failed", "needs_review"):
            return
    raise AssertionError(f"{operation.status} after {rounds} rounds: {operation.error}")


def killed_at(operation: Operation, *point: str) -> None:
    """A worker dies at the point; then its lease runs out."""
    assert work(operation, point[0], "SIGKILL", *point[1:]) == -signal.SIGKILL
    let_lease_run_out(operation)


def let_lease_run_out(operation: Operation) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE syncs_operation SET lease_until = clock_timestamp() - interval '1 s' WHERE id = %s", [operation.pk]
        )


def lease_has_run_out(operation: Operation) -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT lease_until < clock_timestamp() FROM syncs_operation WHERE id = %s", [operation.pk])
        return bool(cursor.fetchone()[0])


def reload(operation: Operation) -> Operation:
    with scope(workspace=operation.workspace_id):
        operation.refresh_from_db()
    return operation


@dataclass(frozen=True)
class Seen:
    """What an operation left: its effects upstream in order, requests that were sent, and how often each event was told."""

    effects: list[str]
    requests: int
    events: Counter[str]


def seen(operation: Operation, simulator: Simulator, *, since: int) -> Seen:
    """`since`: the journal's last entry before."""
    journal = [entry for entry in simulator.control.journal(since) if not entry["side_effect"]]
    sync = sync_of(operation.connection, operation.entity)
    origin = f"op_{operation.pk.hex}"
    told = Counter(str(event["type"]) for event in events_of(sync) if event.get("origin_run") == origin)
    return Seen([entry["effect"] for entry in journal if entry["effect"] != "none"], len(journal), told)


def last_entry(simulator: Simulator) -> int:
    return max((entry["seq"] for entry in simulator.control.journal()), default=0)


def object_of(operation: Operation, simulator: Simulator) -> dict[str, Any]:
    """The work order it is about, as the simulator stores it."""
    (found,) = [one for one in simulator.control.objects("workorders") if str(one["id"]) == operation.remote_id]
    return found


def is_deleted_here(operation: Operation) -> bool:
    record = record_of(operation)
    return record is not None and record.deleted_at is not None
