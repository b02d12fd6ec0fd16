"""Publishing mappings over a full copy and applying them, beside the initial sync that made it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from django.db import connection as database
from django_scopes import scope

from benchmarks import measured
from benchmarks.ground import PROJECT, Ground
from benchmarks.measured import Measured, median
from benchmarks.processes import BenchmarkError, cpu_seconds, forget_peak
from benchmarks.project import ProjectContestant, execute
from benchmarks.told import peak_rss_mb
from connections.services import definitions_of, ensure_default_mapping, set_mapping
from syncs.choices import Mode
from syncs.models import SyncRun

ENTITY = "purchase_order"
# From the claim to the commit that ended it; a re-map makes no request that could be timed.
_TOOK = """SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - started_at)::float8 FROM syncs_syncrun
WHERE id = %s"""
_TOLD = """SELECT coalesce(sum(json_array_length(body::json -> 'data' -> 'ids')), 0) FROM workspaces_event
WHERE type = 'record.updated' AND body::json ->> 'origin_run' = %s AND body::json ->> 'reason' = 'remap'"""


def measure(ground: Ground, *, repetitions: int) -> dict[str, Any]:
    """Medians of all repetitions; each has a database and a worker of its own."""
    found = [one for repetition in range(repetitions) for one in _repetition(ground, repetition)]
    phases = list(dict.fromkeys(one.phase for one in found))
    speeds = {phase: median(one.records / one.seconds for one in found if one.phase == phase) for phase in phases}
    rows = [_line([one for one in found if one.phase == phase], speeds[phase] / speeds["initial"]) for phase in phases]
    print("\n" + measured.table(["phase", "contestant", *_HEADS], rows), flush=True)
    shares = {f"{phase}_vs_initial": round(speeds[phase] / speeds["initial"], 2) for phase in phases[1:]}
    return {**shares, "records": ground.records}


_HEADS = ("records/s", "vs initial", "CPU s", "PG CPU s", "MB")


def _line(group: list[Measured], share: float) -> list[str]:
    return [
        group[0].phase,
        group[0].contestant,
        f"{median(one.records / one.seconds for one in group):,.0f}",
        f"{share:.2f}",
        f"{median(one.cpu_seconds for one in group):.2f}",
        f"{median(one.postgres_cpu_seconds for one in group):.2f}",
        f"{max(one.peak_rss_mb for one in group):.0f}",
    ]


def _repetition(ground: Ground, repetition: int) -> list[Measured]:
    ground.upstream("/reset")
    with closing(ProjectContestant(ground, repetition)) as contestant:
        found = [contestant.run("initial", records=ground.records)]
        for phase, rows, is_changed in _phases(contestant):
            found.append(_remap(contestant, phase, rows, is_changed))
            measured.keep("remap", found[-1])
            print(f"{repetition + 1}  {phase:<8} {found[-1].seconds:8.2f} s", flush=True)
    return found


def _phases(contestant: ProjectContestant) -> list[tuple[str, list[dict[str, Any]], str]]:
    """Name, rows of the override, and the SQL condition of the records that it must change.

    Each is over the one before, so what the first added goes with the second.
    """
    with scope(workspace=contestant.customer.workspace_id):
        default = definitions_of(ensure_default_mapping(contestant.customer.connection.system, ENTITY))
    steps = default["status"]["transforms"]
    (values,) = (step for step in steps if step["name"] == "values")
    status = dict(values["map"])
    del status["closed"]
    custom = {"target": "custom.supplier", "source": "vendor.id"}
    few = {"target": "status", **default["status"], "transforms": [{"name": "values", "map": status}]}
    return [
        ("all", [custom], "true"),
        ("few", [custom, few], "filters ->> 'status' = 'closed'"),
        ("back", [], "true"),
    ]


def _remap(contestant: ProjectContestant, phase: str, rows: list[dict[str, Any]], is_changed: str) -> Measured:
    ground, customer, child = contestant.ground, contestant.customer, contestant._child
    ground.settle(PROJECT, vacuum=True)
    ((expected,),) = ground.execute(
        f"SELECT count(*) FROM syncs_record WHERE {is_changed}",
        PROJECT,
    )
    with scope(workspace=customer.workspace_id):
        set_mapping(customer.connection, ENTITY, rows, by="benchmark")
    ground.upstream("/stats")
    forget_peak(child)
    cpu, postgres = cpu_seconds(child), ground.postgres_cpu_seconds()
    run = execute(customer, Mode.REMAP)
    cpu, postgres = cpu_seconds(child) - cpu, ground.postgres_cpu_seconds() - postgres
    seconds = _check(ground, run, expected)
    return Measured("project", phase, contestant.repetition, ground.records, seconds, cpu, postgres, peak_rss_mb(child))


def _check(ground: Ground, run: SyncRun, expected: int) -> float:
    """How long it took; BenchmarkError when it changed or told something else, or asked anything."""
    requests = ground.upstream("/stats", method="GET")["requests"]
    with database.cursor() as cursor:
        cursor.execute(_TOLD, [f"run_{run.pk.hex}"])
        (told,) = cursor.fetchone()
        cursor.execute(_TOOK, [run.pk])
        (seconds,) = cursor.fetchone()
    if (run.updated_count, int(told), requests) != (expected, expected, 0):
        raise BenchmarkError(
            f"The re-map changed {run.updated_count}, told {told} and asked {requests} times; expected {expected} and 0."
        )
    return float(seconds)
