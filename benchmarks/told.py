"""What a contestant's process tells about itself, as its last line of output."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Stopwatch:
    """Seconds on the wall and of this process's CPU, set when the block has ended."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time a block: from just before its first request to just after its final commit."""
    watch, began, cpu = Stopwatch(), time.perf_counter(), time.process_time()
    yield watch
    watch.seconds, watch.cpu_seconds = time.perf_counter() - began, time.process_time() - cpu


def peak_rss_mb(pid: int | str = "self") -> float:
    """The most memory a process ever had resident (since /proc/PID/clear_refs was told 5), in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} has ended")


def tell(watch: Stopwatch, *, records: int) -> None:
    """Print the line the harness reads."""
    told = {
        "records": records,
        "seconds": watch.seconds,
        "cpu_seconds": watch.cpu_seconds,
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(told), flush=True)
