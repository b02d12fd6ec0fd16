"""Raw calls through a connection."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api import examples
from connections.call_serializers import RawAnswerSerializer, RawCallSerializer
from connections.services import RawCall, is_reading, pass_through
from connections.views import HEADER, ConnectionScopedView
from core.http import UNSET
from workspaces.choices import Scope
from workspaces.permissions import require_scope


class Passthrough(ConnectionScopedView):
    """A call that the platform makes as it is told."""

    scopes = {"POST": Scope.PASSTHROUGH_READ}

    @extend_schema(
        operation_id="passThrough",
        tags=["passthrough"],
        summary="Call the system as it is",
        description=(
            "The call is made once, with the connection's credential and within its request budget, and logged. A status"
            " of the system, whatever it is, is told inside of our 200. Needs `passthrough:read` for calls that read"
            " (GET, HEAD, and methods that a connector knows to read), else `passthrough:write`. 504 OUTCOME_UNKNOWN"
            " says that a write may have been done. There is no idempotency: send a call again and it is made again."
        ),
        parameters=[OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, description="For workspace tokens")],
        request=RawCallSerializer,
        responses=RawAnswerSerializer,
        examples=[
            OpenApiExample("Request", examples.RAW_CALL, request_only=True),
            OpenApiExample("Answer", examples.RAW_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        connection, call = self.connection, _call(request)
        if not is_reading(connection, call):
            require_scope(self.token, Scope.PASSTHROUGH_WRITE)
        answer = pass_through(connection, call, by=str(request.user))
        members = ("status", "headers", "body", "encoding")
        return Response({name: getattr(answer, name) for name in members})


def _call(request: Request) -> RawCall:
    serializer = RawCallSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    asked: dict[str, Any] = serializer.validated_data
    return RawCall(
        method=asked["method"],
        path=asked["path"],
        query=asked.get("query", {}),
        headers=asked.get("headers", {}),
        body=asked.get("body", UNSET),
    )
