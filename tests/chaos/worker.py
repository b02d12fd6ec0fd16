"""A worker process that executes one run and kills or freezes itself at a named point.

    python -m tests.chaos.worker RUN_ID [POINT SIGNAL [OCCURRENCE]]

The points wrap functions of the engine from outside: the engine knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import django
import psycopg

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from syncs.engine import run as engine  # noqa: E402
from syncs.engine import store  # noqa: E402
from syncs.engine.sweep import Sweep  # noqa: E402
from syncs.engine.writing import PageWriter  # noqa: E402


class Trap:
    """Sends this process a signal at the given occurrence."""

    def __init__(self, signal_name: str, occurrence: int) -> None:
        self.number, self.left = signal.Signals[signal_name], occurrence

    def spring(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def after(owner: Any, name: str, trap: Trap) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        trap.spring()
        return result

    setattr(owner, name, wrapped)


def before(owner: Any, name: str, trap: Trap) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        trap.spring()
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def inside_copy(trap: Trap) -> None:
    """In the middle of a COPY: half of the data is sent."""
    original = psycopg.Copy.write

    def write(self: Any, data: Any) -> None:
        middle = len(data) // 2
        original(self, data[:middle])
        trap.spring()
        original(self, data[middle:])

    psycopg.Copy.write = write  # type: ignore[assignment, method-assign]


POINTS: dict[str, Callable[[Trap], None]] = {
    "before_page": lambda trap: before(PageWriter, "commit_page", trap),
    "inside_copy": inside_copy,
    "holding_locks": lambda trap: after(store, "write_staged", trap),
    "after_page": lambda trap: after(PageWriter, "commit_page", trap),
    "before_sweep": lambda trap: before(Sweep, "judge", trap),
    "inside_sweep": lambda trap: after(store, "bury", trap),
    "after_sweep": lambda trap: after(Sweep, "judge", trap),
}


def main() -> None:
    run_id, *point = sys.argv[1:]
    if point:
        name, signal_name, *occurrence = point
        POINTS[name](Trap(signal_name, int(occurrence[0]) if occurrence else 1))
    print("ready", flush=True)
    engine.execute_run(UUID(run_id))


main()
