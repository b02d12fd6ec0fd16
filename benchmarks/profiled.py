"""Where the engine's time goes: `execute_run` under cProfile in this process, without a worker.

The profiler's own cost is in the numbers; read the shares. The thread beside it (fetching, and what the
engine does there) is profiled apart.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest import mock

from django.db import connection as database
from django_scopes import scope

from benchmarks.ground import PROJECT, Ground
from benchmarks.project import MODES, Customer, fresh_database, make_customer
from core import hints
from syncs.choices import Mode, Trigger
from syncs.engine.run import execute_run
from syncs.services import request_run

LINES = 25


def profile(ground: Ground, phases: Sequence[str]) -> None:
    """Run each phase once plain, for its true seconds, and once under the profiler; print what costs most."""
    for with_profiler in (False, True):
        ground.upstream("/reset")
        fresh_database(ground)
        customer = make_customer(ground)
        with mock.patch.object(hints, "publish", return_value=True):  # no worker is to take the run
            for phase in phases:
                ground.settle(PROJECT, vacuum=phase != "initial")
                _phase(ground, customer, phase, with_profiler=with_profiler)
    database.close()


def _phase(ground: Ground, customer: Customer, phase: str, *, with_profiler: bool) -> None:
    if phase in ("changed", "incremental"):
        ground.upstream("/mutate?percent=1")
    fetching = cProfile.Profile() if with_profiler else None
    writing = cProfile.Profile() if with_profiler else None
    with mock.patch.object(ThreadPoolExecutor, "submit", _submitting(fetching)):
        postgres, began, cpu = ground.postgres_cpu_seconds(), time.perf_counter(), time.process_time()
        _run(customer, MODES[phase], writing)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
    postgres = ground.postgres_cpu_seconds() - postgres
    print(f"\n## {phase}: {seconds:.2f} s, CPU {used:.2f} s, PostgreSQL CPU {postgres:.2f} s", flush=True)
    for name, found in (("writing", writing), ("fetching", fetching)):
        if found is not None:
            print(f"# {name}")
            for order in ("tottime", "cumulative"):
                pstats.Stats(found).sort_stats(order).print_stats(LINES)


def _run(customer: Customer, mode: Mode, profiler: cProfile.Profile | None) -> None:
    with scope(workspace=customer.workspace_id):
        customer.sync.refresh_from_db()
        run = request_run(customer.sync, mode, trigger=Trigger.COMMAND, by="profile").run
    if profiler is None:
        execute_run(run.pk)
    else:
        profiler.runcall(execute_run, run.pk)
    with scope(workspace=customer.workspace_id):
        run.refresh_from_db()
    print(f"{run.mode} {run.status}: read {run.read_count}, error {run.error}")


def _submitting(profiler: cProfile.Profile | None) -> Callable[..., Future[Any]]:
    """`ThreadPoolExecutor.submit`, with the work under the profiler. The engine's pool has one thread."""
    submit = ThreadPoolExecutor.submit
    if profiler is None:
        return submit

    def submit_profiled(pool: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return submit(pool, profiler.runcall, function, *arguments)

    return submit_profiled
