"""Syncing: the platform's engine beside the scripts, interleaved, on the same upstream and the same PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from benchmarks import measured
from benchmarks.ground import Ground
from benchmarks.measured import CHANGED_PERCENT, Measured, median
from benchmarks.project import NAME, ProjectContestant
from benchmarks.scripts import SCRIPTS, ScriptContestant

CONTESTANTS = ("limit", NAME, "limit-raw", "plain-django")
EVERYBODY = (NAME, *SCRIPTS)


def measure(
    ground: Ground, *, repetitions: int, phases: Sequence[str], contestants: Sequence[str] = CONTESTANTS
) -> list[Measured]:
    """A B C, A B C, ...: each contestant goes through all phases on a database of its own."""
    found = []
    for repetition in range(repetitions):
        for name in contestants:
            found += _repetition(ground, name, repetition, phases)
    return found


def _repetition(ground: Ground, name: str, repetition: int, phases: Sequence[str]) -> list[Measured]:
    ground.upstream("/reset")
    made = (
        ProjectContestant(ground, repetition) if name == NAME else ScriptContestant(ground, SCRIPTS[name], repetition)
    )
    results = []
    with closing(made) as contestant:
        for phase in phases:
            records = _prepare(ground, phase)
            result = contestant.run(phase, records=records)
            measured.keep("sync", result)
            print(f"{repetition + 1}  {name:<13} {phase:<12} {result.seconds:8.2f} s", flush=True)
            results.append(result)
    return results


def _prepare(ground: Ground, phase: str) -> int:
    """Change what the phase wants changed; answers how many records it has to read."""
    records = ground.records
    if phase in ("changed", "incremental"):
        changed = ground.upstream(f"/mutate?percent={CHANGED_PERCENT}")["changed"]
        records = changed if phase == "incremental" else records
    ground.upstream("/stats")
    return records


def ratio(results: Iterable[Measured], phase: str) -> float | None:
    """Speed of the platform as a share of limit's: above 1 it is faster. None when one of them did not run."""
    medians = {name: _seconds(results, name, phase) for name in ("limit", NAME)}
    if None in medians.values():
        return None
    return medians["limit"] / medians[NAME]  # type: ignore[operator]


def _seconds(results: Iterable[Measured], name: str, phase: str) -> float | None:
    values = [result.seconds for result in results if (result.contestant, result.phase) == (name, phase)]
    return median(values) if values else None


def peak_rss_mb(results: Iterable[Measured]) -> float | None:
    """The platform's greatest peak over all phases and repetitions."""
    return max((result.peak_rss_mb for result in results if result.contestant == NAME), default=None)


def report(results: Sequence[Measured]) -> str:
    """Medians, phase by phase; speed and CPU beside limit's."""
    heads = ["phase", "contestant", "records/s", "s", "min", "max", "CPU s", "PG CPU s", "speed x", "CPU x", "MB"]
    rows = []
    for phase in dict.fromkeys(result.phase for result in results):
        groups: dict[str, list[Measured]] = {}
        for result in results:
            if result.phase == phase:
                groups.setdefault(result.contestant, []).append(result)
        first = groups.get("limit") or next(iter(groups.values()))
        rows += [_line(phase, name, group, first) for name, group in groups.items()]
    return measured.table(heads, rows)


def _line(phase: str, name: str, group: list[Measured], first: list[Measured]) -> list[str]:
    seconds = [result.seconds for result in group]
    middle, cpu = median(seconds), median(result.both_cpu_seconds for result in group)
    first_middle, first_cpu = (
        median(result.seconds for result in first),
        median(result.both_cpu_seconds for result in first),
    )
    return [
        phase,
        name,
        f"{group[0].records / middle:,.0f}",
        f"{middle:.2f}",
        f"{min(seconds):.2f}",
        f"{max(seconds):.2f}",
        f"{median(result.cpu_seconds for result in group):.2f}",
        f"{median(result.postgres_cpu_seconds for result in group):.2f}",
        f"{first_middle / middle:.2f}",
        f"{cpu / first_cpu:.2f}" if first_cpu else "-",
        f"{max(result.peak_rss_mb for result in group):.0f}",
    ]
