"""Trying one step alone, with a given input: evaluated and done by the very functions of a live run, as in a dry one.

Nothing is stored and nothing is sent. For a whole flow see `dry_run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django_scopes import scope

from core.errors import BugError, FieldError, LineshaftError, NotFoundError, ValidationFailedError
from core.json import pointer, utc_text
from core.leases import Lease
from flows.definitions.model import Condition, Definition, ForEach, Wait
from flows.definitions.walking import find_step
from flows.engine.attempts import StepTurn
from flows.engine.bound import Bound
from flows.engine.errors import stored_error
from flows.engine.handlers import HANDLERS
from flows.engine.handlers.flow import FLOW_HANDLERS
from flows.engine.items import select
from flows.engine.scopes import Scope
from flows.engine.sizes import fitting
from flows.engine.turn import Done, Step
from flows.engine.values import is_wanted, values_of
from flows.engine.work import Clock, Work, base_context
from flows.models import Flow, FlowRun, StepRun
from flows.services.drying import Use, chosen, dry_run, trigger_of
from webhooks.services import clock

__all__ = ["PINNED", "StepTest", "Use", "dry_run", "test_step"]

PINNED = ("trigger", "steps", "item", "index", "error")
"""What may be given to a step: the values that its expressions see under these names."""


@dataclass(frozen=True)
class StepTest:
    """What a step would take and give. `is_skipped`: its `when` is not true. `error` as rows of runs keep it."""

    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    call: Mapping[str, Any] | None = None
    elapsed_ms: int = 0
    is_skipped: bool = False


def test_step(flow: Flow, name: str, input: Mapping[str, Any], *, use: Use) -> StepTest:
    """Try one step without the steps inside of it. `input`: {"trigger", "steps": {name: output}, "item", "index", "error"},
    each as its expressions shall see it; without a trigger the definition's example is taken.

    A for-each tells the keys of its items, a condition which way it goes, a wait what it would wait for. What goes wrong
    with the step is its `error`. Errors: NotFoundError for a step that is not there, ValidationFailedError for another
    input (pointers /input/...); those of reading a draft; ConflictError FLOW_NOT_PUBLISHED.
    """
    with scope(workspace=flow.workspace_id):
        definition, bindings = chosen(flow, use)
        found = find_step(definition, name)
        if found is None:
            raise NotFoundError(f"The flow has no step {name[:60]!r}.", code="NO_SUCH_STEP")
        _refuse_strange(input)
        return _Trial(flow, definition, bindings, input).of(found.step)


test_step.__test__ = False  # type: ignore[attr-defined]  # no test of ours


class _Trial:
    """A worker's turn at a run that is not there."""

    def __init__(
        self, flow: Flow, definition: Definition, bindings: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        trigger = trigger_of(definition, given.get("trigger") or {})
        self._at = clock.now()
        self._clock = Clock(self._at)
        self._run = FlowRun(
            workspace_id=flow.workspace_id,
            environment=flow.environment,
            flow=flow,
            trigger=definition.trigger.on,
            input=trigger,
            is_dry=True,
            started_at=self._at,
        )
        self._bound = Bound(self._run, definition, bindings)
        self._definition = definition
        self._number = flow.version.number if flow.version is not None else None
        beside = {key: given[key] for key in ("item", "index", "error") if key in given}
        self._scope = Scope(steps=dict(given.get("steps") or {}), beside=beside)
        self._input: Any = None

    def of(self, step: Step) -> StepTest:
        try:
            return self._done(step)
        except LineshaftError as error:
            kept = stored_error(error, step.name)
            return StepTest(self._input, error=kept, call=error.extra.get("call"), elapsed_ms=self._elapsed())

    def _done(self, step: Step) -> StepTest:
        work = Work(
            run=self._run,
            definition=self._definition,
            lease=cast(Lease, _Unheld()),
            bound=self._bound,
            clock=self._clock,
            shown=base_context(self._run, self._bound, self._number),
        )
        context = work.context(self._scope)
        if not is_wanted(step, context):
            return StepTest(is_skipped=True, elapsed_ms=self._elapsed())
        values = values_of(step, context)
        if isinstance(step, ForEach):
            chosen_items = select(work, step, values["items"], context)
            values = {"count": len(chosen_items)}
            done = Done({**values, "keys": [entry["key"] for entry in chosen_items]})
            self._take(step, values)
        else:
            self._take(step, values)
            done = self._result(work, step, values)
        output = fitting(done.output, f"The output of {step.name}", code="STEP_OUTPUT_TOO_LARGE")
        return StepTest(self._input, output, call=done.call, elapsed_ms=self._elapsed())

    def _take(self, step: Step, values: Any) -> None:
        self._input = fitting(values, f"The input of {step.name}", code="STEP_INPUT_TOO_LARGE")

    def _result(self, work: Work, step: Step, values: Mapping[str, Any]) -> Done:
        if isinstance(step, Condition):
            return Done({"result": values["if"]})
        kind: str = step.do  # type: ignore[attr-defined]  # each kind of step has its own
        row = StepRun(
            workspace_id=self._run.workspace_id,
            run=self._run,
            path=step.name,
            name=step.name,
            kind=kind,
            input=values,
            started_at=self._at,
        )
        turn = _TrialTurn(work, self._scope, step, row)
        if isinstance(step, Wait):
            return self._awaited(turn, step)
        handler = FLOW_HANDLERS.get(kind) or HANDLERS[kind]
        return cast(Done, handler(turn))  # which nothing dry puts off

    def _awaited(self, turn: _TrialTurn, step: Wait) -> Done:
        """What would be waited for, and until when at the latest."""
        if step.event is None:
            turn.waits = True
            found = FLOW_HANDLERS["wait"](turn)
            until = None if isinstance(found, Done) or found.until is None else utc_text(found.until)
            return Done({"waits_for": None if until is None else "time", "until": until})
        until = utc_text(self._at + timedelta(seconds=step.event.timeout_seconds))
        event = step.event.model_dump(exclude={"timeout_seconds", "on_timeout"})
        event["connections"] = [turn.connection(name).name for name in step.event.connections]
        return Done({"waits_for": "event", "until": until, "event": event})

    def _elapsed(self) -> int:
        return round(self._clock.elapsed() * 1000)


class _TrialTurn(StepTurn):
    """Dry, but for what tells how long it would wait. Nothing can begin."""

    waits = False

    @property
    def is_dry(self) -> bool:
        return not self.waits

    def begin(self, **changes: Any) -> None:
        raise BugError("A step that is tried out began something outside.")


class _Unheld:
    """Stands for the lease of a run that is not there."""

    seconds = 0.0

    def renew(self, returning: str = "1") -> tuple[Any, ...]:
        return ()


def _refuse_strange(given: Mapping[str, Any]) -> None:
    errors = [
        FieldError(pointer("input", str(name)[:100]), "UNKNOWN_FIELD", f"A step sees {', '.join(PINNED)}.")
        for name in given
        if name not in PINNED
    ]
    for name in ("trigger", "steps", "error"):
        if not isinstance(given.get(name), Mapping | None):
            errors.append(FieldError(pointer("input", name), "INVALID_VALUE", "It must be an object."))
    if errors:
        raise ValidationFailedError(f"{errors[0].pointer}: {errors[0].detail}", errors=tuple(errors[:50]))
