"""Traps that kill or freeze the process they are set in at a named point. They wrap functions of the engine from outside:
the engine knows nothing of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg


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


Set = Callable[[Trap], None]


def set_trap(points: Mapping[str, Set], arguments: Sequence[str]) -> None:
    """Set the trap that the rest of a command line names, if any: POINT SIGNAL [OCCURRENCE]."""
    if arguments:
        name, signal_name, *occurrence = arguments
        points[name](Trap(signal_name, int(occurrence[0]) if occurrence else 1))
