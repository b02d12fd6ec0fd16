"""The contestants that are scripts: each phase is one process, on a database of the script's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.ground import Ground
from benchmarks.measured import Measured
from benchmarks.processes import BenchmarkError, end_of, module, running

PHASE_SECONDS = 900.0
_UNIFIED = "SELECT count(*), count(*) FILTER (WHERE (payload->>'revision')::int > 1) FROM unified"
_ORDERS = "SELECT count(*), count(*) FILTER (WHERE revision > 1) FROM plain_orders"


@dataclass(frozen=True)
class Script:
    """A module and its options; `check` counts the rows, and those whose revision is above 1."""

    name: str
    module: str
    options: tuple[str, ...]
    check: str

    @property
    def database(self) -> str:
        return "bench_" + self.name.replace("-", "_")


SCRIPTS: Mapping[str, Script] = {
    script.name: script
    for script in (
        Script("limit", "benchmarks.limit", (), _UNIFIED),
        Script("limit-raw", "benchmarks.limit", ("--variant", "raw"), _UNIFIED),
        Script("limit-best", "benchmarks.limit", ("--variant", "best"), _UNIFIED),
        Script("plain-django", "benchmarks.plain_django", (), _ORDERS),
    )
}


class ScriptContestant:
    """One repetition of a script."""

    def __init__(self, ground: Ground, script: Script, repetition: int) -> None:
        self.ground, self.script, self.repetition = ground, script, repetition
        ground.fresh_database(script.database)

    def run(self, phase: str, *, records: int) -> Measured:
        """Run one phase, in which `records` are to be read, and check what it left."""
        self.ground.settle(self.script.database, vacuum=phase != "initial")
        before = self.ground.postgres_cpu_seconds()
        told = run_script(self.ground, self.script, phase, database=self.script.database)
        postgres = self.ground.postgres_cpu_seconds() - before
        self._check(phase, records, told["records"])
        times = told["seconds"], told["cpu_seconds"]
        return Measured(self.script.name, phase, self.repetition, records, *times, postgres, told["peak_rss_mb"])

    def _check(self, phase: str, expected: int, seen: int) -> None:
        changed = self.ground.upstream("/stats", method="GET")["changed"]
        found = self.ground.execute(self.script.check, self.script.database)[0]
        # Asking for what changed since the newest known time, inclusive, shows the newest record once more.
        if found != (self.ground.records, changed) or not 0 <= seen - expected <= 1:
            raise BenchmarkError(
                f"{self.script.name}, {phase}: read {seen} of {expected}; (rows, changed rows) are {found}, "
                f"not {(self.ground.records, changed)}."
            )

    def close(self) -> None:
        self.ground.drop_database(self.script.database)


def run_script(ground: Ground, script: Script, phase: str, *, database: str) -> dict[str, Any]:
    """Run a script to its end and return what it told."""
    options = ["--url", ground.upstream_url, "--dsn", ground.dsn(database), "--phase", phase, *script.options]
    log = ground.log(script.name)
    with running(module(script.module, *options), log=log, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(timeout=PHASE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError(f"{script.name}, {phase} took more than {PHASE_SECONDS:.0f} s.") from error
    if process.returncode != 0:
        raise BenchmarkError(f"{script.name}, {phase} failed:\n{end_of(log)}")
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told
