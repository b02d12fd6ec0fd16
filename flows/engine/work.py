"""One worker's turn at a run: what it works on, what expressions see, and when it must give the worker back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core import ids
from core.json import utc_text
from core.leases import Lease
from flows.definitions.model import Definition
from flows.engine.bound import Bound
from flows.engine.errors import Cancelled, OutOfTime, StepTimedOutError, TimedOut, stored_error
from flows.engine.scopes import Scope
from flows.models import Flow, FlowRun, StepRun

WORK_SECONDS = 60.0
"""So long a run keeps a worker, and the step it is at then."""


class Clock:
    """The database's clock, asked once: `at`, just now."""

    def __init__(self, at: datetime) -> None:
        self._at, self._begun = at, time.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        return time.monotonic() - self._begun


@dataclass
class Work:
    """What steps need to be done. `limits`: of the steps around that have a time limit, the path and the time."""

    run: FlowRun
    definition: Definition
    lease: Lease
    bound: Bound
    clock: Clock
    shown: Mapping[str, Any]
    is_cancelled: bool = False
    limits: list[tuple[StepRun, datetime]] = field(default_factory=list)

    def context(self, scope: Scope) -> dict[str, Any]:
        """What expressions see in the scope."""
        return {**self.shown, "steps": scope.steps, **scope.beside}

    def check(self, path: str) -> None:
        """Before anything new is begun at `path`. Errors: Cancelled, OutOfTime, TimedOut."""
        if self.is_cancelled:
            raise Cancelled
        if self.is_used_up():
            raise OutOfTime
        self.check_limits(path)

    def is_used_up(self) -> bool:
        return self.clock.elapsed() >= WORK_SECONDS

    def check_limits(self, path: str) -> None:
        """Errors: TimedOut of the outermost step whose time is over."""
        for row, until in self.limits:
            if self.clock.now() >= until:
                raise TimedOut(row.path, stored_error(_timed_out(row, until), path))

    def latest(self) -> datetime | None:
        """When the first of the time limits around is over."""
        return min((until for _, until in self.limits), default=None)

    @contextmanager
    def limited(self, row: StepRun, seconds: int | None) -> Iterator[None]:
        """Within, the step's time limit holds, counted from its start."""
        if seconds is None:
            yield
            return
        self.limits.append((row, row.started_at + timedelta(seconds=seconds)))
        try:
            yield
        finally:
            self.limits.pop()


def base_context(run: FlowRun, bound: Bound, number: int | None) -> dict[str, Any]:
    """What expressions see everywhere. Errors: of `Bound.shown`."""
    told = {
        "id": ids.show(FlowRun.PREFIX, run.pk),
        "flow": ids.show(Flow.PREFIX, run.flow_id),
        "version": number,
        "started_at": utc_text(run.started_at) if run.started_at else None,
    }
    return {"trigger": run.input, "run": told, "connections": bound.shown()}


def _timed_out(row: StepRun, until: datetime) -> StepTimedOutError:
    seconds = round((until - row.started_at).total_seconds())
    return StepTimedOutError(f"{row.path} took longer than its {seconds} s, all attempts and pauses together.")
