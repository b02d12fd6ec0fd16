"""Steps that touch nothing outside but the feed: map, wait, emit, stop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from core import ids
from core.errors import ValidationFailedError
from core.json import dumps
from flows.choices import WaitsFor
from flows.definitions.model import MAX_WAIT_SECONDS, Emit, Stop, Wait
from flows.engine.handlers.awaiting import Within, await_event, woke
from flows.engine.turn import Done, Handler, Later, Turn
from flows.models import FlowRun
from workspaces.events import emit_custom
from workspaces.models import Event

MAX_MESSAGE = 1000


def map_value(turn: Turn) -> Done:
    """Output: the value."""
    return Done(turn.values["value"])


def emit_event(turn: Turn) -> Done:
    """Told once, in the transaction that stores the step as done. Output: {event, type}; of a dry run `data` too."""
    step: Emit = turn.step
    data = turn.values.get("data") or {}
    connection = None if step.connection is None else turn.connection(step.connection)
    told = {"event": None, "type": step.type}
    if turn.is_dry:
        return Done({**told, "data": data})

    def emit() -> dict[str, Any]:
        event_id = emit_custom(
            step.type,
            data=data,
            workspace_id=turn.run.workspace_id,
            environment=turn.run.environment,
            connection_id=None if connection is None else connection.pk,
            reason="flow",
            origin_run=ids.show(FlowRun.PREFIX, turn.run.pk),
        )
        return {**told, "event": ids.show(Event.PREFIX, event_id)}

    return Within(told, also=emit)


def stop(turn: Turn) -> Done:
    """Output: {outcome, message}; the interpreter ends the run by it."""
    step: Stop = turn.step
    message = turn.values.get("message")
    shown = message if isinstance(message, str) else "" if message is None else dumps(message)
    return Done({"outcome": step.outcome, "message": shown[:MAX_MESSAGE]})


def wait(turn: Turn) -> Done | Later:
    """For a while, until a time, or for an event. Output: {woke_at, event, timed_out}; a dry run passes at once."""
    step: Wait = turn.step
    if step.event is not None:
        return woke() if turn.is_dry else await_event(turn, step.event)
    until = _until(turn)
    if turn.is_dry or until <= timezone.now():
        return woke()
    return Later(WaitsFor.TIME, until=until)


def _until(turn: Turn) -> datetime:
    """Counted from the step's start. Errors: ValidationFailedError."""
    seconds, text = turn.values.get("seconds"), turn.values.get("until")
    begun = turn.row.started_at
    if turn.step.seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_WAIT_SECONDS:
            raise _wrong(f"`seconds` must be a number from 0 to {MAX_WAIT_SECONDS}.")
        return begun + timedelta(seconds=seconds)
    try:
        until = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError as error:
        raise _wrong("`until` must be a time such as 2026-03-01T08:00:00Z.") from error
    if until.tzinfo is None:
        raise _wrong("`until` needs its zone, such as the Z in 2026-03-01T08:00:00Z.")
    if until > begun + timedelta(seconds=MAX_WAIT_SECONDS):
        raise _wrong(f"`until` is further away than {MAX_WAIT_SECONDS // 86_400} days.")
    return until


def _wrong(detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, code="INVALID_WAIT")


FLOW_HANDLERS: Mapping[str, Handler] = {"map": map_value, "emit": emit_event, "stop": stop, "wait": wait}
"""What a step does -> who does it. Conditions and for-eaches are walked by the interpreter."""
