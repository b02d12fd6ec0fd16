"""One step: what goes in is fixed, then attempt after attempt, until it is done, failed for good, or has to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connections.models import Connection
from core.errors import LineshaftError
from flows.choices import WaitsFor
from flows.definitions.model import ForEach
from flows.engine import store
from flows.engine.errors import Cancelled, GaveBack, stored_error
from flows.engine.handlers import HANDLERS
from flows.engine.handlers.awaiting import Within
from flows.engine.handlers.flow import FLOW_HANDLERS
from flows.engine.items import select
from flows.engine.retrying import ATTEMPT_FIELDS, begun_at, next_attempt, note_begun, pause_seconds
from flows.engine.scopes import FINISHED, Scope
from flows.engine.sizes import fitting
from flows.engine.turn import Done, Handler, Later, OutcomeLostError, Step, Turn
from flows.engine.values import is_wanted, values_of
from flows.engine.work import Work
from flows.models import StepRun

# Stored once, when they are done: nothing outside knows of them before.
_AT_ONCE = frozenset({"map", "emit", "stop"})


class StepTurn(Turn):
    """One attempt at one step, in the hands of the engine."""

    def __init__(self, work: Work, scope: Scope, step: Step, row: StepRun) -> None:
        self.work, self.scope = work, scope
        self.run, self.definition, self.lease = work.run, work.definition, work.lease
        self.step, self.row = step, row

    @property
    def values(self) -> Mapping[str, Any]:
        return self.row.input or {}

    @property
    def is_dry(self) -> bool:
        return bool(self.run.is_dry)

    @property
    def context(self) -> Mapping[str, Any]:
        return self.work.context(self.scope)

    def connection(self, name: str) -> Connection:
        return self.work.bound.connection(name)

    def begin(self, **changes: Any) -> None:
        """Errors: LeaseLostError; Cancelled, and nothing was begun."""
        before = {name: getattr(self.row, name) for name in ("has_begun", *changes)}
        _set(self.row, has_begun=True, **changes)
        try:
            store.save(self.work, self.row, ["has_begun", *changes], self._refuse_cancelled)
        except Cancelled:
            _set(self.row, **before)
            raise

    def _refuse_cancelled(self) -> None:
        if self.work.is_cancelled:
            raise Cancelled


def new_row(work: Work, scope: Scope, step: Step) -> StepRun:
    """Not stored yet."""
    kind: str = step.do  # type: ignore[attr-defined]  # each kind of step has its own
    return StepRun(
        workspace_id=work.run.workspace_id,
        run=work.run,
        path=scope.path_of(step.name),
        scope=scope.path,
        name=step.name,
        kind=kind,
        started_at=work.clock.now(),
    )


def make_ready(work: Work, step: Step, scope: Scope, row: StepRun) -> bool:
    """Fix what goes in, before anything is done. False when that ended it: it is skipped, or failed.

    Errors: GaveBack, and those of `Work.check`.
    """
    while row.input is None and row.status not in FINISHED:
        work.check(row.path)
        begun = begun_at(row, work.clock.now())
        try:
            _fix(work, step, scope, row)
        except LineshaftError as error:
            _after_failure(work, step, row, error, begun)
    return row.status not in FINISHED


def attempt(work: Work, step: Step, scope: Scope, row: StepRun) -> None:
    """Bring the step to its end. Errors: GaveBack, Cancelled, OutOfTime, TimedOut, LeaseLostError."""
    if not make_ready(work, step, scope, row):
        return
    handler: Handler = FLOW_HANDLERS.get(row.kind) or HANDLERS[row.kind]
    while row.status not in FINISHED:
        # A write under way is looked at once more before its time is said to be over.
        if row.operation_id is None:
            work.check(row.path)
        begun = begun_at(row, work.clock.now())
        try:
            result = handler(StepTurn(work, scope, step, row))
            if isinstance(result, Done):
                _finish(work, row, result)
                return
        except OutcomeLostError as error:
            _set(row, error=stored_error(error, row.path), call=error.extra.get("call") or row.call)
            result = Later(WaitsFor.PERSON)
        except LineshaftError as error:
            _after_failure(work, step, row, error, begun)
            continue
        work.check_limits(row.path)
        note_begun(row, begun)
        if store.wait(work, row, result):
            raise GaveBack


def _fix(work: Work, step: Step, scope: Scope, row: StepRun) -> None:
    context = work.context(scope)
    if not is_wanted(step, context):
        store.skip(work, row)
        return
    values = values_of(step, context)
    if isinstance(step, ForEach):
        chosen = select(work, step, values["items"], context)
        _set(row, state={**row.state, "items": chosen})
        values = {"count": len(chosen)}
    row.input = fitting(values, f"The input of {row.path}", code="STEP_INPUT_TOO_LARGE")
    if row.kind not in _AT_ONCE:
        store.save(work, row, ["input", "state"])


def _finish(work: Work, row: StepRun, done: Done) -> None:
    output = fitting(done.output, f"The output of {row.path}", code="STEP_OUTPUT_TOO_LARGE")
    store.finish(work, row, output, call=done.call, also=done.also if isinstance(done, Within) else None)


def _after_failure(work: Work, step: Step, row: StepRun, error: LineshaftError, begun: str) -> None:
    """The attempt failed for sure: another one follows at once or later (GaveBack), or it is the step's end."""
    kept, at = stored_error(error, row.path), work.clock.now()
    _set(row, call=error.extra.get("call") or row.call)
    seconds = pause_seconds(step.retry, row, error)
    if seconds is not None and work.run.is_dry:
        seconds = 0.0
    latest = work.latest()
    if seconds is None or (latest is not None and at + timedelta(seconds=seconds) >= latest):
        store.fail(work, row, kept)
        return
    next_attempt(row, kept, begun=begun, ended_at=at)
    if seconds == 0:
        store.save(work, row, ATTEMPT_FIELDS)
        return
    store.wait(work, row, Later(WaitsFor.TIME, until=at + timedelta(seconds=seconds)))
    raise GaveBack


def _set(row: StepRun, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
