"""Waiting for an event of the feed. What came between the run's beginning and the wait is looked at first, so that
nothing is missed; no worker is held."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.utils import timezone

from connections.models import Connection
from core import ids
from core.api_errors import GoneError
from core.errors import ValidationFailedError
from core.json import utc_text
from flows.choices import WaitsFor
from flows.definitions.model import EventWait
from flows.engine.turn import Done, Later, Turn
from flows.expressions import ExpressionError, matches
from flows.models import FlowRun
from workspaces.feed import FeedPage, read_feed

PAGE = 100
SCAN_SECONDS = 20.0
"""So long a worker looks through the feed before others have their turn."""
_SCANNED, _REFUSED = "scanned", "filter_error"


@dataclass(frozen=True)
class Within(Done):
    """`also` is done in the transaction that stores the step as done, and answers the output in place of `output`."""

    also: Callable[[], Any] | None = field(default=None)


@dataclass(eq=False)
class NoEventError(ValidationFailedError):
    """The event did not come in time."""

    default_code = "WAIT_TIMED_OUT"


def woke(event: Mapping[str, Any] | None = None, *, timed_out: bool = False) -> Done:
    """The output of a wait that is over."""
    return Done({"woke_at": utc_text(timezone.now()), "event": event, "timed_out": timed_out})


def await_event(turn: Turn, wanted: EventWait) -> Done | Later:
    """The first event after the run's position that fits; the position moves to it.

    Errors: NoEventError after the time-out, where the step is to fail then.
    """
    begun = time.monotonic()
    state = dict(turn.row.state)
    position = max(turn.run.position, int(state.get(_SCANNED, 0)))
    while True:
        page = _page(turn.run, wanted, position)
        found = _first(turn, wanted, page.bodies, state)
        if found is not None:
            return _matched(turn.run, found)
        position = state[_SCANNED] = page.next_after
        if not page.has_more:
            return _none_yet(turn, wanted, state)
        if time.monotonic() - begun >= SCAN_SECONDS:
            return Later(WaitsFor.TIME, until=timezone.now(), state=state)
        turn.lease.renew()


def _page(run: FlowRun, wanted: EventWait, after: int) -> FeedPage:
    asked: dict[str, Any] = {
        "workspace_id": run.workspace_id,
        "environment": run.environment,
        "limit": PAGE,
        "types": wanted.types,
    }
    try:
        return read_feed(after=after, **asked)
    except GoneError as error:  # a run that is older than what is kept looks at what is left
        return read_feed(after=int(error.extra["oldest_after"]), **asked)


def _first(turn: Turn, wanted: EventWait, bodies: Sequence[str], state: dict[str, Any]) -> Mapping[str, Any] | None:
    """The first event that fits. One that the filter cannot judge does not; why is noted in `state`."""
    chosen = _connections(turn, wanted)
    events = [orjson.loads(body) for body in bodies]
    events = [
        event
        for event in events
        if (not chosen or event["connection"] in chosen)
        and (not wanted.entities or event["data"].get("entity") in wanted.entities)
    ]
    if wanted.filter is None or not events:
        return events[0] if events else None
    for event, verdict in zip(
        events, matches(wanted.filter, [{**turn.context, "event": event} for event in events]), strict=True
    ):
        if verdict is True:
            return dict(event)
        if isinstance(verdict, ExpressionError):
            state[_REFUSED] = verdict.detail[:500]
    return None


def _connections(turn: Turn, wanted: EventWait) -> set[str | None]:
    return {ids.show(Connection.PREFIX, turn.connection(name).pk) for name in wanted.connections}


def _matched(run: FlowRun, event: Mapping[str, Any]) -> Within:
    done = woke(event)

    def move() -> Any:
        run.position = event["position"]
        run.save(update_fields=["position"])
        return done.output

    return Within(done.output, also=move)


def _none_yet(turn: Turn, wanted: EventWait, state: dict[str, Any]) -> Done | Later:
    until: datetime = turn.row.started_at + timedelta(seconds=wanted.timeout_seconds)
    if timezone.now() < until:
        return Later(WaitsFor.EVENT, until=until, types=tuple(wanted.types), position=state[_SCANNED], state=state)
    if wanted.on_timeout == "continue":
        return woke(timed_out=True)
    why = f" The filter could not be judged for some: {state[_REFUSED]}" if _REFUSED in state else ""
    raise NoEventError(
        f"No {' or '.join(wanted.types)} that fits came within {wanted.timeout_seconds} s of the wait's start.{why}"
    )
