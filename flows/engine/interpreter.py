"""Walking a version: each turn from its start, past what is done, to the step that comes next.

A finished step is told by its row and never repeated. Steps in branches and in `on_error` stand in the scope of the step
they belong to; those of a for-each in that of their item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.choices import StepStatus
from flows.definitions.model import Condition, ForEach, OnError, Stop
from flows.engine import store
from flows.engine.attempts import attempt, make_ready, new_row
from flows.engine.each import Each
from flows.engine.errors import StepFailed, Stopped, TimedOut
from flows.engine.scopes import FINISHED, Scope, load
from flows.engine.turn import Step
from flows.engine.work import Work
from flows.models import StepRun


class Interpreter:
    """One turn's walk."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def go(self) -> None:
        """To the end of the flow. Errors: what `flows.engine.errors` has as ways out; LeaseLostError."""
        self.walk(self.work.definition.steps, load(self.work.run))

    def walk(self, steps: Sequence[Step], scope: Scope) -> None:
        for step in steps:
            self._step(step, scope)

    def _step(self, step: Step, scope: Scope) -> None:
        row = scope.rows.get(scope.path_of(step.name)) or new_row(self.work, scope, step)
        if row.status not in FINISHED:
            self._bring(step, scope, row)
        scope.take(row)
        if row.status == StepStatus.FAILED:
            self._failed(step, scope, row)
        elif isinstance(step, Stop) and row.status == StepStatus.SUCCEEDED:
            output: Any = row.output
            raise Stopped(output["outcome"], output["message"])

    def _bring(self, step: Step, scope: Scope, row: StepRun) -> None:
        """To its end. A failure of steps inside is the step's own."""
        with self.work.limited(row, step.timeout_seconds):
            try:
                if isinstance(step, Condition | ForEach):
                    self._inside(step, scope, row)
                else:
                    attempt(self.work, step, scope, row)
            except TimedOut as over:
                store.fail(self.work, row, over.error)
                if over.owner != row.path:
                    raise
            except StepFailed as failed:
                store.fail(self.work, row, failed.error)

    def _inside(self, step: Condition | ForEach, scope: Scope, row: StepRun) -> None:
        if not make_ready(self.work, step, scope, row):
            return
        if isinstance(step, ForEach):
            Each(self.work, step, scope, row, self.walk).go()
            return
        is_true = (row.input or {})["if"]
        self.walk(step.then if is_true else step.else_, scope)
        store.finish(self.work, row, {"result": is_true})

    def _failed(self, step: Step, scope: Scope, row: StepRun) -> None:
        """As the step's `on_error` says."""
        error = row.error or {}
        if isinstance(step.on_error, OnError):
            self.walk(step.on_error.steps, scope.seeing(error=error))
        elif step.on_error == "fail":
            raise StepFailed(error)
