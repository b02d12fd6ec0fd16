"""Sync status of connections."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from
from syncs.api import examples
from syncs.api.serializers import SyncStatusListSerializer, SyncStatusSerializer
from syncs.api.visible import asked_connection, find_connection, visible_connections
from syncs.bodies import status_body
from syncs.choices import SyncState
from syncs.services import sync_status
from syncs.states import CONNECTION_STATE, as_expression
from workspaces.choices import Scope
from workspaces.views import ApiView

_OBJECT = OpenApiExample("Of a connection", examples.SYNC_STATUS, response_only=True)


class SyncStatus(ApiView):
    """How fresh the copies are. Derived from rows at each request."""

    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {"GET": {"limit", "cursor", "connection", "status"}}

    @extend_schema(
        operation_id="listSyncStatus",
        tags=["syncs"],
        summary="See how syncs are doing",
        description=(
            "A workspace token gets a list with one object a connection. A connection token gets the one object of its"
            " connection itself, not a list."
        ),
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("connection", str, description="Only this connection (`con_...`)"),
            OpenApiParameter("status", str, enum=SyncState.values, description="Only connections in this state"),
        ],
        responses=SyncStatusListSerializer,
        examples=[
            OpenApiExample(
                "Workspace token", {"data": [examples.SYNC_STATUS], "next_cursor": None}, response_only=True
            ),
            OpenApiExample("Connection token", examples.SYNC_STATUS, response_only=True),
        ],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="sync-status")
        state, asked = choice_from(request, "status", SyncState.values), asked_connection(self.token, request)
        if self.token.connection_id is not None:
            return Response(_one(self.token, self.token.connection_id))
        rows: Any = visible_connections(self.token)
        if asked is not None:
            rows = rows.filter(pk=asked)
        if state is not None:
            rows = rows.alias(state=as_expression(CONNECTION_STATE)).filter(state=state)
        page = list((rows.filter(pk__gt=after[0]) if after else rows).order_by("pk")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        cursor = encode_cursor((page[-1].pk,), purpose="sync-status", filters=filters_of(request)) if more else None
        return Response({"data": [status_body(status) for status in sync_status(page)], "next_cursor": cursor})


class ConnectionSyncStatus(ApiView):
    """The same of one connection."""

    scopes = {"GET": Scope.SYNCS_READ}

    @extend_schema(
        operation_id="getConnectionSyncStatus",
        tags=["connections"],
        summary="See how the syncs of a connection are doing",
        responses=SyncStatusSerializer,
        examples=[_OBJECT],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        return Response(_one(self.token, connection_id))


def _one(token: Any, connection_id: UUID | str) -> dict[str, Any]:
    (status,) = sync_status([find_connection(token, connection_id)])
    return status_body(status)
