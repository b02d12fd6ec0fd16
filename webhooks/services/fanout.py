"""Fan-out: from the feed to a delivery for each endpoint that wants an event.

Each endpoint follows the feed of its workspace and environment with its own position. Deliveries and position move in
one transaction under the endpoint's row lock, so each event is fanned out once, whoever is killed when. Any number of
ticks share the endpoints. An endpoint that is paused or disabled stays where it is, and catches up afterwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection, transaction

from core import ids
from webhooks.models import WebhookEndpoint
from webhooks.services import clock
from webhooks.services.hinting import deliver_soon
from webhooks.services.matching import MAKE
from workspaces import audit
from workspaces.choices import AuditOutcome

POSITIONS_AT_ONCE = 1_000
EVER = datetime(1970, 1, 1, tzinfo=UTC)

_BEHIND = """SELECT e.id, e.workspace_id, e.environment, e.position, f.position
FROM webhooks_webhookendpoint e
JOIN workspaces_feed f ON f.workspace_id = e.workspace_id AND f.environment = e.environment AND f.position > e.position
WHERE e.status = 'active' AND e.id > %s ORDER BY e.id LIMIT 1 FOR NO KEY UPDATE OF e SKIP LOCKED"""
_NEXT = """SELECT min(position) FROM workspaces_event
WHERE workspace_id = %s AND environment = %s AND position > %s"""
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class _Behind:
    """An endpoint that has not come to the end of its feed, locked."""

    id: UUID
    workspace_id: UUID
    environment: str
    position: int
    end: int


def fan_out(*, seconds: float = 1.0) -> int:
    """Fan out for so long, a piece of the feed for each endpoint in turn. Answers how many deliveries were made."""
    until, made, after = time.monotonic() + seconds, 0, _FIRST
    while True:
        step = fan_out_next(after)
        if step is None and after == _FIRST:
            return made
        after, count = step or (_FIRST, 0)
        made += count
        if time.monotonic() > until:
            return made


@transaction.atomic
def fan_out_next(after: UUID = _FIRST) -> tuple[UUID, int] | None:
    """The next piece of the feed for the first endpoint after `after` that is behind and free.

    Answers the endpoint and how many deliveries it got; None when there is none.
    """
    behind = _lock_behind(after)
    if behind is None:
        return None
    oldest = _oldest_after(behind)
    if oldest is None:  # nothing behind its position is kept
        _move(behind.id, behind.end)
        _tell_jump(behind, behind.end)
        return behind.id, 0
    if oldest > behind.position + 1:
        _tell_jump(behind, oldest - 1)
    upto = min(behind.end, oldest - 1 + POSITIONS_AT_ONCE)
    made = _make(behind.id, after=oldest - 1, upto=upto)
    _move(behind.id, upto)
    if made:
        deliver_soon(behind.id)
    return behind.id, made


def _lock_behind(after: UUID) -> _Behind | None:
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, [after])
        row = cursor.fetchone()
    return None if row is None else _Behind(*row)


def _oldest_after(behind: _Behind) -> int | None:
    """The position of the next event that is kept. Up to the feed's end all are committed: it gives them out locked."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [behind.workspace_id, behind.environment, behind.position])
        oldest: int | None = cursor.fetchone()[0]
    return oldest


def _make(endpoint_id: UUID, *, after: int, upto: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(MAKE, {"at": clock.now(), "endpoint": endpoint_id, "after": after, "upto": upto, "since": EVER})
        return int(cursor.rowcount)


def _move(endpoint_id: UUID, position: int) -> None:
    WebhookEndpoint.objects.with_scopes_disabled().filter(pk=endpoint_id).update(position=position)


def _tell_jump(behind: _Behind, position: int) -> None:
    """Events are kept 30 days: those between were forgotten before this endpoint was told of them."""
    audit.record(
        "webhook_endpoint.events_missed",
        workspace_id=behind.workspace_id,
        about=("webhook_endpoint", str(ids.show(WebhookEndpoint.PREFIX, behind.id))),
        outcome=AuditOutcome.FAILED,
        details={"after": behind.position, "upto": position, "why": "They are older than the feed keeps events."},
    )
