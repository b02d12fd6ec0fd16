"""Taking what events say out of them, once the data they told of is purged. The events themselves stay.

Readers of the feed count on every position: an event that was given out keeps its id, type, time, connection and reason,
and only its `data` becomes empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import orjson

from workspaces.models import Event, Feed

UPDATED_AT_ONCE = 200
_IS_BLANK = '"data":{}}'


@dataclass(frozen=True)
class Blanked:
    """How many events were blanked, and after which position to go on. `is_end`: none is left behind it."""

    count: int
    after: int
    is_end: bool


def blank_events(*, workspace_id: UUID, environment: str, connection_id: UUID, after: int, span: int) -> Blanked:
    """Empty the events of a connection among the next `span` positions of its feed, in the caller's transaction."""
    feed = {"workspace_id": workspace_id, "environment": environment}
    end = Feed.objects.filter(**feed).values_list("position", flat=True).first() or 0
    # Over what is no longer kept in one step.
    oldest = Event.objects.after(after).filter(**feed).values_list("position", flat=True).first()
    if oldest is None:
        return Blanked(0, end, is_end=True)
    upper = min(end, oldest - 1 + span)
    told = Event.objects.after(after).filter(position__lte=upper, connection_id=connection_id, **feed)
    changed = [
        Event(pk=pk, body=orjson.dumps({**orjson.loads(body), "data": {}}).decode())
        for pk, body in told.exclude(body__endswith=_IS_BLANK).values_list("pk", "body")
    ]
    Event.objects.bulk_update(changed, ["body"], batch_size=UPDATED_AT_ONCE)
    return Blanked(len(changed), upper, is_end=upper >= end)
