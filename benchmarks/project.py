"""The platform as a contestant: its own Celery worker, its own task, one connection, events on.

Django must be set up before this module is imported, on the addresses that `benchmarks.ground` puts into the environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db import connection as database
from django_scopes import scope

from benchmarks.connector import BenchErp
from benchmarks.ground import PROJECT, TEMPLATE, Ground
from benchmarks.measured import Measured
from benchmarks.processes import (
    BenchmarkError,
    children,
    cpu_seconds,
    end_of,
    forget_peak,
    running,
    wait_for,
)
from benchmarks.told import peak_rss_mb
from connections.choices import ConnectionStatus
from connections.models import Connection
from syncs.choices import ACTIVE, Mode, RunStatus, Trigger
from syncs.models import Sync, SyncRun
from syncs.services import ensure_syncs, request_run, update_sync
from workspaces.services import create_workspace

NAME = "project"
MODES = {"initial": Mode.INITIAL, "unchanged": Mode.FULL, "changed": Mode.FULL, "incremental": Mode.INCREMENTAL}
CLAIM_SECONDS, PHASE_SECONDS, POLL_SECONDS = 60.0, 900.0, 0.1
_ROWS = "SELECT count(*), count(*) FILTER (WHERE version > 1) FROM syncs_record WHERE deleted_at IS NULL"
_EVENTS = """SELECT type, sum(json_array_length(body::json -> 'data' -> 'ids')) FROM workspaces_event
WHERE type LIKE 'record.%%' AND body::json ->> 'origin_run' = %s GROUP BY type"""
# The row of a run was written last by its final transaction.
_COMMITTED = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM syncs_syncrun WHERE id = %s"


@dataclass(frozen=True)
class Customer:
    """The one connection and its sync of purchase orders."""

    workspace_id: UUID
    connection: Connection
    sync: Sync


def fresh_database(ground: Ground) -> None:
    """The platform's database, empty."""
    database.close()
    ground.fresh_database(PROJECT, template=TEMPLATE)


def make_customer(ground: Ground) -> Customer:
    """A workspace with an active connection to the upstream; its whole history is wanted."""
    workspace = create_workspace(name="Benchmark", slug="benchmark")
    with scope(workspace=workspace.pk):
        connection = Connection(
            workspace=workspace,
            system=BenchErp.slug,
            name="Bench ERP",
            config={"base_url": ground.upstream_url},
            health=ConnectionStatus.ACTIVE,
        )
        connection.save(force_insert=True)
        (sync,) = ensure_syncs(connection)
        return Customer(workspace.pk, connection, update_sync(sync, history_days=None))


@contextmanager
def worker(ground: Ground) -> Iterator[int]:
    """A worker as in production, with one child; the child's process id, in which runs execute."""
    log = ground.log("worker")
    log.unlink(missing_ok=True)
    celery = [str(Path(sys.executable).with_name("celery")), "-A", "config", "worker"]
    with running([*celery, "--queues", "sync", "--pool", "prefork", "--concurrency", "1"], log=log) as process:

        def ready() -> bool:
            if process.poll() is not None:
                raise BenchmarkError(f"The worker ended:\n{end_of(log)}")
            return b" ready." in log.read_bytes()

        # Until then it may have other, passing children.
        wait_for("the worker", ready, seconds=60)
        (child,) = children(process.pid)
        yield child


def execute(customer: Customer, mode: Mode) -> SyncRun:
    """Ask for a run, and wait until the worker has ended it."""
    with scope(workspace=customer.workspace_id):
        customer.sync.refresh_from_db()
        run = request_run(customer.sync, mode, trigger=Trigger.COMMAND, by="benchmark").run

        def status() -> str:
            return str(SyncRun.objects.values_list("status", flat=True).get(pk=run.pk))

        def ended() -> bool:
            return status() not in ACTIVE

        wait_for("a worker to take the run", lambda: status() != RunStatus.QUEUED, seconds=CLAIM_SECONDS)
        wait_for(f"the {mode} run", ended, seconds=PHASE_SECONDS, every=POLL_SECONDS)
        run.refresh_from_db()
    if run.status != RunStatus.COMPLETED or run.mode != mode:
        raise BenchmarkError(f"The {mode} run ended as {run.mode} {run.status}: {run.error}")
    return run


class ProjectContestant:
    """One repetition of the platform, with a worker of its own."""

    def __init__(self, ground: Ground, repetition: int) -> None:
        self.ground, self.repetition = ground, repetition
        fresh_database(ground)
        self.customer = make_customer(ground)
        self._worker = worker(ground)
        self._child = self._worker.__enter__()

    def run(self, phase: str, *, records: int) -> Measured:
        """Run one phase, in which `records` are to be read, and check what it left.

        Timed from the first request that reached the upstream (the check that reads its clock) to the final commit.
        """
        self.ground.settle(PROJECT, vacuum=phase != "initial")
        forget_peak(self._child)
        before, postgres_before = cpu_seconds(self._child), self.ground.postgres_cpu_seconds()
        run = execute(self.customer, MODES[phase])
        postgres = self.ground.postgres_cpu_seconds() - postgres_before
        cpu, peak = cpu_seconds(self._child) - before, peak_rss_mb(self._child)
        first_request_at = self.ground.upstream("/stats", method="GET")["first_request_at"]
        self._check(phase, run, records)
        with database.cursor() as cursor:
            cursor.execute(_COMMITTED, [run.pk])
            (committed_at,) = cursor.fetchone()
        seconds = committed_at - first_request_at
        return Measured(NAME, phase, self.repetition, records, seconds, cpu, postgres, peak)

    def _check(self, phase: str, run: SyncRun, records: int) -> None:
        """Rows, versions, counters and events must say the same."""
        changed = self.ground.upstream("/stats", method="GET")["changed"]
        with database.cursor() as cursor:
            cursor.execute(_ROWS)
            rows = cursor.fetchone()
            cursor.execute(_EVENTS, [f"run_{run.pk.hex}"])
            events = {name: int(count) for name, count in cursor.fetchall()}
        counted = {"record.created": run.created_count, "record.updated": run.updated_count}
        expected_updates = 0 if phase in ("initial", "unchanged") else round(self.ground.records / 100)
        faults = {
            "(rows, changed rows)": (rows, (self.ground.records, changed)),
            "records read": (run.read_count - (phase == "incremental"), records),
            "created": (run.created_count, self.ground.records if phase == "initial" else 0),
            "updated": (run.updated_count, expected_updates),
            "quarantined": (run.quarantined_count, 0),
            "events": (events, {name: count for name, count in counted.items() if count}),
        }
        wrong = [f"{what} {found} instead of {wanted}" for what, (found, wanted) in faults.items() if found != wanted]
        if wrong:
            raise BenchmarkError(f"{NAME}, {phase}: {'; '.join(wrong)}.")

    def close(self) -> None:
        self._worker.__exit__(None, None, None)
        database.close()
        self.ground.drop_database(PROJECT)
