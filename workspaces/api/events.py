"""The event feed."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api_errors import NotFoundHereError
from core.pagination import limit_from
from core.parameters import id_from, integer_from, text_from, wrong_parameter
from core.rendering import RawJson
from core.waiting import Places, rest
from workspaces.authentication import TokenAuthentication
from workspaces.choices import EventType, Scope
from workspaces.event_catalogue import is_choice_of_types, sample_event
from workspaces.feed import FeedPage, await_feed, read_feed
from workspaces.permissions import require_scope
from workspaces.serializers import FeedSerializer
from workspaces.views import ApiView

MAX_POSITION = 10**17
MOST_WAIT_SECONDS = 30
_LIMIT = OpenApiParameter("limit", int, description="1 to 500, 100 when absent")
_EVENT = sample_event(EventType.RECORD_UPDATED)


@cache
def places() -> Places:
    """Those of requests that wait for events."""
    return Places()


class Events(ApiView):
    """The feed of the token's environment; of its connection alone when it is a connection token."""

    scopes = {"GET": Scope.EVENTS_READ}
    parameters = {"GET": {"after", "limit", "type", "connection", "wait"}}

    @extend_schema(
        operation_id="listEvents",
        tags=["events"],
        summary="Read the event feed",
        description=(
            "Every event in commit order without gaps. Store `next_after` when you have processed a page and send it"
            " as `after`; it goes forward also when nothing was found. Events are kept 30 days: an older position is"
            " 410 CURSOR_EXPIRED, which says where to go on. With `wait` an empty page is not answered at once: you get what"
            " comes as soon as it is there. Only a part of the platform's threads wait at a time: 429 `TOO_MANY_AT_ONCE`"
            " beyond, with `Retry-After`."
        ),
        parameters=[
            OpenApiParameter("after", int, description="The position you have seen; absent begins at the oldest event"),
            _LIMIT,
            OpenApiParameter("wait", int, description="Seconds to wait for something to come, 0 to 30; 0 when absent"),
            OpenApiParameter(
                "type", str, description="Only these types, comma separated; `custom.*` are all that your flows emit"
            ),
            OpenApiParameter("connection", str, description="Only events of this connection"),
            OpenApiParameter("X-Connection-Id", str, OpenApiParameter.HEADER, description="The same as a header"),
        ],
        responses=FeedSerializer,
        examples=[
            OpenApiExample("Page", {"data": [_EVENT], "next_after": 4711, "has_more": False}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        wait = integer_from(request, "wait", low=0, high=MOST_WAIT_SECONDS) or 0
        asked: dict[str, Any] = {
            "workspace_id": self.token.workspace_id,
            "environment": self.token.environment,
            "limit": limit_from(request),
            "types": _types(request),
            "connection_id": self._connection_id(request),
        }
        page = read_feed(after=integer_from(request, "after", low=0, high=MAX_POSITION), **asked)
        if wait and not page.bodies and not page.has_more:
            page = self._awaited(request, page, wait, asked)
        data = [RawJson(body) for body in page.bodies]
        return Response({"data": data, "next_after": page.next_after, "has_more": page.has_more})

    def _awaited(self, request: Request, page: FeedPage, seconds: int, asked: dict[str, Any]) -> FeedPage:
        """What comes within so many seconds, if the token may still read it then."""
        with places().taken("Too many requests of this web process wait for events already; ask again without `wait`."):
            page = await_feed(page, seconds=seconds, pause=rest, **asked)
        found = TokenAuthentication().authenticate(request)
        require_scope(found[1] if found else self.token, Scope.EVENTS_READ)
        return page

    def _connection_id(self, request: Request) -> UUID | None:
        """The one connection meant by `?connection=`, the header X-Connection-Id or the token; None means all."""
        header = request.headers.get("X-Connection-Id")
        named = [id_from(request, "connection", "con"), ids.read("con", header) if header else None]
        meant = {value for value in (*named, self.token.connection_id) if value is not None}
        if len(meant) > 1 or (header and named[1] is None):
            raise NotFoundHereError("There is no such connection.")
        return meant.pop() if meant else None


def _types(request: Request) -> list[str]:
    text = text_from(request, "type", max_length=1000)
    types = text.split(",") if text else []
    for name in types:
        if not is_choice_of_types(name):
            known = ", ".join([*EventType.values, "custom.* or the name of one that your flows emit"])
            raise wrong_parameter("type", f"must name event types, comma separated: {known}")
    return types
