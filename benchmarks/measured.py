"""One measurement, the phases, and where every measurement is kept."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results" / "measured.jsonl"
PHASES = ("initial", "unchanged", "changed", "incremental")
CHANGED_PERCENT = 1


@dataclass(frozen=True)
class Measured:
    """One phase of one contestant. Times are seconds; CPU is of the process that syncs, and of PostgreSQL."""

    contestant: str
    phase: str
    repetition: int
    records: int
    seconds: float
    cpu_seconds: float
    postgres_cpu_seconds: float
    peak_rss_mb: float

    @property
    def both_cpu_seconds(self) -> float:
        return self.cpu_seconds + self.postgres_cpu_seconds


def keep(kind: str, values: Any) -> None:
    """Append one measurement to the file of results."""
    row = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "kind": kind, "load": os.getloadavg()[0]}
    with RESULTS.open("a") as file:
        file.write(json.dumps(row | asdict(values)) + "\n")


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for people: the first two columns to the left, numbers to the right."""
    every = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
