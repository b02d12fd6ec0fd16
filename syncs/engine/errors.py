"""How a piece of a run ends early."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Wait(Exception):
    """The run gives its worker back and goes on at its due time. `reason` is shown; `seconds` from now."""

    seconds: float
    reason: str = ""

    def __str__(self) -> str:
        return f"wait {self.seconds:.1f} s {self.reason}"


class Cancelled(Exception):
    """Somebody asked the run to stop, or its connection may no longer sync."""


class OutOfTime(Exception):
    """The worker has spent its share on this run: others have their turn, then it goes on."""
