"""The log of upstream calls."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from connections.api import examples
from connections.call_serializers import UpstreamCallListSerializer, call_body
from connections.models import UpstreamCall
from connections.views import asked_connection
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import id_from, wrong_parameter
from workspaces import tokens
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.permissions import HasScope
from workspaces.views import ApiView


class ScopeOfOwner(HasScope):
    """Calls of operations are for who may see operations, all others for who may see syncs."""

    def needed(self, request: Request, view: APIView, method: str) -> str | None:
        return Scope.OPERATIONS_READ if "operation" in request.GET else super().needed(request, view, method)


class UpstreamCalls(ApiView):
    """What was asked of systems and what they answered."""

    permission_classes = [ScopeOfOwner]
    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {"GET": {"limit", "cursor", "run", "operation", "connection"}}

    @extend_schema(
        operation_id="listUpstreamCalls",
        tags=["upstream-calls"],
        summary="List calls to systems",
        description=(
            "The last calls of failed runs, and all of operations and of passthrough; newest first, kept 14 days."
            " `?operation=` needs the scope `operations:read`, everything else `syncs:read`. Without a filter, calls of"
            " operations and of passthrough are there only for a token that may read these."
        ),
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("run", str, description="Only those of this sync run (`run_...`)"),
            OpenApiParameter("operation", str, description="Only those of this operation (`op_...`)"),
            OpenApiParameter("connection", str, description="Only those of this connection (`con_...`)"),
        ],
        responses=UpstreamCallListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.CALL], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="upstream-calls")
        rows = _asked(self.token, request)
        page = list((rows.filter(pk__lt=after[0]) if after else rows).order_by("-pk")[: limit + 1])
        shown, cursor = page[:limit], None
        if len(page) > limit:
            cursor = encode_cursor((shown[-1].pk,), purpose="upstream-calls", filters=filters_of(request))
        return Response({"data": [call_body(call) for call in shown], "next_cursor": cursor})


def _asked(token: ApiToken, request: Request) -> Any:
    run_id, operation_id = id_from(request, "run", "run"), id_from(request, "operation", "op")
    if run_id and operation_id:
        raise wrong_parameter("run", "and ?operation exclude each other; send one of them")
    rows = UpstreamCall.objects.filter(
        workspace_id=token.workspace_id,
        connection__environment=token.environment,
        connection__purge_requested_at=None,
    )
    connection_id = asked_connection(token, request) or token.connection_id
    if connection_id is not None:
        rows = rows.filter(connection_id=connection_id)
    if run_id:
        return rows.filter(run_id=run_id)
    if operation_id:
        return rows.filter(operation_id=operation_id)
    return _without_unreadable(rows, token)


def _without_unreadable(rows: Any, token: ApiToken) -> Any:
    """Everything but what needs a scope that the token lacks."""
    if not tokens.grants(token.scopes, str(Scope.OPERATIONS_READ)):
        rows = rows.filter(operation_id=None)
    if not tokens.grants(token.scopes, str(Scope.PASSTHROUGH_READ)):
        rows = rows.owned()
    return rows
