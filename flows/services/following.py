"""Following: each flow with an event trigger goes along the feed of its workspace with a position of its own.

A worker judges the next events without holding anything, then, in one transaction under the flow's row lock, starts
their runs and moves the position, if it is still where it was. So each event starts its runs once, whoever is killed
when, and however many workers are at it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Min, Q
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from core import hints, ids
from core.json import utc_text
from flows.choices import TriggerKind
from flows.definitions.event_types import EVERY_CUSTOM
from flows.engine.hinting import QUEUE
from flows.models import Flow
from flows.services.judging import Verdict, judge
from flows.services.starting import definition_of, insert_runs, present_position, published
from webhooks.services import clock
from workspaces import audit
from workspaces.choices import AuditOutcome
from workspaces.models import Event

__all__ = ["TASK", "follow", "follow_next", "hint_followers", "reset_position"]

TASK = "flows.follow"
EVENTS_AT_ONCE, POSITIONS_AT_ONCE = 200, 2_000
RE_HINT_SECONDS = 30

_TAKE_BEHIND = """UPDATE flows_flow SET hinted_at = clock_timestamp() WHERE id IN (
    SELECT f.id FROM flows_flow f JOIN workspaces_feed d
        ON d.workspace_id = f.workspace_id AND d.environment = f.environment AND d.position > f.position
    WHERE NOT f.is_paused AND f.trigger_kind = 'event' AND f.version_id IS NOT NULL
        AND (f.hinted_at IS NULL OR f.hinted_at < clock_timestamp() - %s * interval '1 second')
    ORDER BY f.hinted_at NULLS FIRST LIMIT %s FOR NO KEY UPDATE OF f SKIP LOCKED)
RETURNING id"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Piece:
    """The next events of a feed that a flow asks for; others do not come before `upto`. `after` is where they begin:
    beyond the flow's position when the feed has forgotten what came between."""

    events: list[Event]
    after: int
    upto: int


def hint_followers(limit: int = 200) -> int:
    """Tell workers of flows that have not come to the end of their feed. A duty of the tick."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_BEHIND, [RE_HINT_SECONDS, limit])
        behind = [row[0] for row in cursor.fetchall()]
    return sum(hints.publish(TASK, flow_id, queue=QUEUE) for flow_id in behind)


def follow(flow_id: UUID, *, seconds: float = 60.0) -> int:
    """Follow the feed to its end, or for so long. Answers how many pieces were done. For a worker, in no scope."""
    until, done = time.monotonic() + seconds, 0
    while follow_next(flow_id):
        done += 1
        if time.monotonic() > until:
            hints.publish(TASK, flow_id, queue=QUEUE)
            break
    return done


def follow_next(flow_id: UUID) -> bool:
    """Judge the next piece of the feed and start its runs. False when there is nothing more to do here now."""
    with scopes_disabled():
        rows = Flow.objects.started_by_itself().filter(pk=flow_id, trigger_kind=TriggerKind.EVENT)
        flow = rows.select_related("version").first()
    if flow is None:
        return False
    with scope(workspace=flow.workspace_id):
        piece = _next_piece(flow)
        if piece is None:
            Flow.objects.filter(pk=flow.pk).update(hinted_at=None)
            return False
        try:
            verdict = judge(flow, published(flow), piece.events, piece.upto)
        except Exception as error:  # a worker's end: what happened is stored, and the events are judged again later
            log.exception("flow_not_judged", flow_id=str(flow.pk))
            _note_breakdown(flow, error)
            return False
        return _commit(flow, piece, verdict)


def reset_position(flow: Flow) -> None:
    """Let it follow from the present end of the feed on. The caller holds the row and saves `position`."""
    flow.position, flow.hinted_at = present_position(flow), None


def _next_piece(flow: Flow) -> _Piece | None:
    """None at the end of the feed."""
    end = present_position(flow)
    if end <= flow.position:
        return None
    events = Event.objects.filter(workspace_id=flow.workspace_id, environment=flow.environment, position__lte=end)
    oldest = events.filter(position__gt=flow.position).aggregate(oldest=Min("position"))["oldest"]
    if oldest is None:  # nothing behind its position is kept
        return _Piece([], after=end, upto=end)
    upto = min(end, oldest - 1 + POSITIONS_AT_ONCE)
    asked = events.after(oldest - 1).filter(_of_its_types(flow), position__lte=upto)
    found = list(asked[:EVENTS_AT_ONCE])
    if len(found) == EVENTS_AT_ONCE:
        upto = found[-1].position
    return _Piece(found, after=oldest - 1, upto=upto)


def _of_its_types(flow: Flow) -> Q:
    trigger: Any = definition_of(published(flow)).trigger
    own = Q(type__startswith=EVERY_CUSTOM.removesuffix("*")) if EVERY_CUSTOM in trigger.types else Q()
    return Q(type__in=trigger.types) | own


@transaction.atomic
def _commit(flow: Flow, piece: _Piece, verdict: Verdict) -> bool:
    """Start the runs and move on. False when another worker has done so; True also when the flow has changed."""
    rows = Flow.objects.started_by_itself().select_for_update(no_key=True).filter(pk=flow.pk)
    locked = rows.filter(trigger_kind=TriggerKind.EVENT).first()
    if locked is None or locked.position != flow.position:
        return False
    if locked.version_id != flow.version_id:
        return True
    if piece.after > flow.position:
        _tell_jump(flow, piece.after)
    insert_runs(locked, published(flow), verdict.starts)
    moved: dict[str, Any] = {"position": verdict.upto, "hinted_at": Now()}
    if verdict.is_told:
        moved["trigger_error"] = verdict.error
    Flow.objects.filter(pk=flow.pk).update(**moved)
    return True


def _note_breakdown(flow: Flow, error: Exception) -> None:
    told = f"The trigger could not be judged: {type(error).__name__}. It is tried again by itself; tell who runs Lineshaft."
    trouble = {"code": "INTERNAL_ERROR", "message": told, "event": None, "at": utc_text(clock.now())}
    Flow.objects.filter(pk=flow.pk, position=flow.position).update(trigger_error=trouble)


def _tell_jump(flow: Flow, position: int) -> None:
    """Events are kept 30 days: those between were forgotten before this flow was told of them."""
    audit.record(
        "flow.events_missed",
        workspace_id=flow.workspace_id,
        about=("flow", str(ids.show(Flow.PREFIX, flow.pk))),
        outcome=AuditOutcome.FAILED,
        details={"after": flow.position, "upto": position, "why": "They are older than the feed keeps events."},
    )
