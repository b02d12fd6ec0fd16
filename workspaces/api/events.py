"""The event feed."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api_errors import NotFoundHereError
from core.pagination import limit_from
from core.parameters import id_from, integer_from, text_from, wrong_parameter
from core.rendering import RawJson
from workspaces.choices import EventType, Scope
from workspaces.feed import read_feed
from workspaces.serializers import (
    FeedSerializer,
)
from workspaces.views import ApiView

MAX_POSITION = 10**17
_LIMIT = OpenApiParameter("limit", int, description="1 to 500, 100 when absent")
_EVENT = {
    "id": "evt_0193500000007000800000000000000a",
    "type": "record.updated",
    "timestamp": "2026-03-01T08:00:00.000000Z",
    "workspace": "ws_01935000000070008000000000000001",
    "connection": "con_01935000000070008000000000000002",
    "position": 4711,
    "reason": "incremental",
    "origin_run": "run_01935000000070008000000000000003",
    "data": {"entity": "purchase_order", "ids": ["po_8f14e45fceea867a9ab1c2d3e4f50617"]},
}


class Events(ApiView):
    """The feed of the token's environment; of its connection alone when it is a connection token."""

    scopes = {"GET": Scope.EVENTS_READ}
    parameters = {"GET": {"after", "limit", "type", "connection"}}

    @extend_schema(
        operation_id="listEvents",
        tags=["events"],
        summary="Read the event feed",
        description=(
            "Every event in commit order without gaps. Store `next_after` when you have processed a page and send it"
            " as `after`; it goes forward also when nothing was found. Events are kept 30 days: an older position is"
            " 410 CURSOR_EXPIRED, which says where to go on."
        ),
        parameters=[
            OpenApiParameter("after", int, description="The position you have seen; absent begins at the oldest event"),
            _LIMIT,
            OpenApiParameter("type", str, description="Only these types, comma separated"),
            OpenApiParameter("connection", str, description="Only events of this connection"),
            OpenApiParameter("X-Connection-Id", str, OpenApiParameter.HEADER, description="The same as a header"),
        ],
        responses=FeedSerializer,
        examples=[
            OpenApiExample("Page", {"data": [_EVENT], "next_after": 4711, "has_more": False}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        page = read_feed(
            workspace_id=self.token.workspace_id,
            environment=self.token.environment,
            after=integer_from(request, "after", low=0, high=MAX_POSITION),
            limit=limit_from(request),
            types=_types(request),
            connection_id=self._connection_id(request),
        )
        data = [RawJson(body) for body in page.bodies]
        return Response({"data": data, "next_after": page.next_after, "has_more": page.has_more})

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
        if name not in EventType.values:
            raise wrong_parameter("type", f"must name event types, comma separated: {', '.join(EventType.values)}")
    return types
