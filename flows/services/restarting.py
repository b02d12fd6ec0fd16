"""Which steps of a failed run are done again: those whose failure was the run's, down to the one that failed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from flows.choices import StepStatus
from flows.definitions.model import Condition, Definition, ForEach, OnError
from flows.engine.errors import TIMED_OUT
from flows.engine.retrying import ATTEMPT_FIELDS, start_over
from flows.engine.scopes import ITEM
from flows.engine.turn import Step
from flows.models import FlowRun, StepRun
from syncs.choices import OperationStatus
from syncs.models import Operation

__all__ = ["restart_failed"]

Rows = Mapping[str, StepRun]


def restart_failed(run: FlowRun, definition: Definition, at: datetime) -> None:
    """Open the failed steps again, in the current transaction. What was done stays, and so does a failure that a step's
    own `on_error` dealt with."""
    _Restart(run, at).steps(definition.steps, _rows(run, ""))


class _Restart:
    def __init__(self, run: FlowRun, at: datetime) -> None:
        self.run, self.at = run, at

    def steps(self, steps: Sequence[Step], rows: Rows) -> None:
        for step in steps:
            row = rows.get(step.name)
            if row is not None and row.status == StepStatus.FAILED:
                self._step(step, row, rows)

    def _step(self, step: Step, row: StepRun, rows: Rows) -> None:
        if isinstance(step.on_error, OnError):
            self.steps(step.on_error.steps, rows)
        elif step.on_error == "fail":
            self._open(row)
            self._inside(step, row, rows)

    def _inside(self, step: Step, row: StepRun, rows: Rows) -> None:
        if isinstance(step, Condition):
            self.steps([*step.then, *step.else_], rows)
        elif isinstance(step, ForEach):
            for item in _failed_items(row):
                self._item(step, item)

    def _item(self, step: ForEach, item: StepRun) -> None:
        if item.input is None:  # it was never begun, and begins anew
            item.delete()
            return
        self._open(item)
        self.steps(step.steps, _rows(self.run, item.path))

    def _open(self, row: StepRun) -> None:
        start_over(row, at=self.at, is_settled=_is_settled(row))
        if row.kind == "condition" and row.input is not None:
            row.output = {"result": row.input["if"]}  # which way it goes was fixed with its input
        row.save(update_fields=list(ATTEMPT_FIELDS))


def _rows(run: FlowRun, scope: str) -> Rows:
    """Steps of the top, or of one item, by their names."""
    found = StepRun.objects.filter(run=run, scope=scope).exclude(kind=ITEM)
    return {row.name: row for row in found}


def _failed_items(row: StepRun) -> list[StepRun]:
    items = StepRun.objects.filter(run_id=row.run_id, scope=row.scope, kind=ITEM, path__startswith=f"{row.path}[")
    return list(items.filter(status=StepStatus.FAILED).order_by("id"))


def _is_settled(row: StepRun) -> bool:
    """Whether the last attempt failed for sure, so that nothing of it can still be done outside."""
    if row.operation_id is not None:
        return Operation.objects.filter(pk=row.operation_id, status=OperationStatus.FAILED).exists()
    if not row.has_begun:
        return True
    # The run's end closed it, or its time did, while what it had begun was not answered for.
    return row.output is not None and (row.error or {}).get("code") != TIMED_OUT
