"""The feed: every event of one environment of a workspace, in commit order, kept 30 days."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from core.api_errors import GoneError
from core.parameters import wrong_parameter
from workspaces.event_catalogue import EVERY_CUSTOM
from workspaces.models import Event, Feed

KEPT_FOR = timedelta(days=30)
# What one page may look through to find what a filter lets pass, so that no page is slow.
SCANNED_POSITIONS = 10_000
FORGOTTEN_AT_ONCE = 5_000
LOOK_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class FeedPage:
    """Frozen bodies in order, and the position to go on from: also when nothing was found."""

    bodies: list[str]
    next_after: int
    has_more: bool


def read_feed(
    *,
    workspace_id: UUID,
    environment: str,
    after: int | None = None,
    limit: int,
    types: Collection[str] = (),
    connection_id: UUID | None = None,
) -> FeedPage:
    """The events after a position; from the oldest kept one when `after` is None.

    GoneError CURSOR_EXPIRED when events after that position are no longer kept, BadRequestError when it was never
    given out.
    """
    feed = {"workspace_id": workspace_id, "environment": environment}
    end = _end(feed)
    if after is not None and after > end:
        raise wrong_parameter("after", f"is beyond the end of this feed, which is {end}")
    start = _before_oldest(feed, end) if after is None else after
    upper = min(end, start + SCANNED_POSITIONS)
    rows = _matching(feed, start, upper, types, connection_id)[:limit]
    found = list(rows.values_list("position", "body"))
    # Asked after reading, so that what is forgotten in between is noticed.
    oldest = _before_oldest(feed, end)
    if after is not None and after < oldest:
        raise _expired(after, oldest, end)
    next_after = found[-1][0] if len(found) == limit else upper
    return FeedPage([body for _, body in found], next_after, next_after < end)


def await_feed(
    page: FeedPage,
    *,
    seconds: float,
    pause: Callable[[float], object],
    workspace_id: UUID,
    environment: str,
    **asked: Any,
) -> FeedPage:
    """The page after an empty one, as soon as it shows something; after so many seconds an empty one.

    `asked` as of `read_feed`. Only the feed's position is looked at meanwhile, with no transaction open; `pause` sleeps
    between two looks.
    """
    feed: dict[str, Any] = {"workspace_id": workspace_id, "environment": environment}
    deadline = time.monotonic() + seconds
    while not page.bodies and not page.has_more and (left := deadline - time.monotonic()) > 0:
        pause(min(LOOK_EVERY_SECONDS, left))
        if _end(feed) > page.next_after:
            page = read_feed(after=page.next_after, **feed, **asked)
    return page


def forget_old_events(*, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Delete events older than 30 days, each feed from its start, so that what is kept has no holes.

    A duty of the tick, outside any one workspace: the caller disables scopes. Answers how many went.
    """
    old = Event.objects.filter(created_at__lt=Now() - KEPT_FOR).order_by("created_at")
    feeds = set(old.values_list("workspace_id", "environment")[:limit])
    return sum(_forget(workspace_id, environment, limit) for workspace_id, environment in feeds)


def _end(feed: dict[str, Any]) -> int:
    """The last position. All up to it are committed: the feed's row stays locked from numbering to commit."""
    return Feed.objects.filter(**feed).values_list("position", flat=True).first() or 0


def _matching(feed: dict[str, Any], start: int, upper: int, types: Collection[str], connection_id: UUID | None) -> Any:
    events = Event.objects.after(start).filter(position__lte=upper, **feed)
    if types:
        own = Q(type__startswith="custom.") if EVERY_CUSTOM in types else Q()
        events = events.filter(Q(type__in=types) | own)
    return events if connection_id is None else events.filter(connection_id=connection_id)


def _before_oldest(feed: dict[str, Any], end: int) -> int:
    """The position before the oldest kept event; the end when none is kept."""
    oldest = Event.objects.after(0).filter(**feed).values_list("position", flat=True).first()
    return end if oldest is None else oldest - 1


def _expired(after: int, oldest: int, end: int) -> GoneError:
    return GoneError(
        f"Events are kept {KEPT_FOR.days} days, and some after position {after} are gone. Note `restart_after`, list the"
        " records you follow once more, then go on with ?after= that number; or take what is left from `oldest_after`.",
        code="CURSOR_EXPIRED",
        extra={"restart_after": end, "oldest_after": oldest},
    )


def _forget(workspace_id: UUID, environment: str, limit: int) -> int:
    events = Event.objects.after(0).filter(workspace_id=workspace_id, environment=environment)
    kept = events.filter(created_at__gte=Now() - KEPT_FOR).values_list("position", flat=True).first()
    old = events if kept is None else events.filter(position__lt=kept)
    count, _ = Event.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()
    return int(count)
