"""Changes of a connection's state: paused, resumed, ended, and brought back."""

from __future__ import annotations

from collections.abc import Callable

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections import services
from connections.api import examples
from connections.api.connections import TAGS, bodies_of, body_of, validated
from connections.models import Connection
from connections.serializers import CheckedConnectionSerializer, ConnectionSerializer, ReconnectSerializer
from connections.views import find_connection
from workspaces.choices import Scope
from workspaces.views import ApiView


class _Change(ApiView):
    """A change of state without a body; doing it twice changes nothing."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    def change(self, request: Request, connection_id: str, service: Callable[..., Connection]) -> Response:
        connection = find_connection(self.token, connection_id)
        return Response(bodies_of([service(connection, by=str(request.user))])[0])


class PauseConnection(_Change):
    """No more syncs."""

    @extend_schema(
        operation_id="pauseConnection",
        tags=TAGS,
        summary="Pause a connection's syncs",
        description="Stops syncs, not writes. Pausing twice changes nothing.",
        request=None,
        responses=ConnectionSerializer,
        examples=[
            OpenApiExample("Paused", {**examples.CONNECTION, "status": "paused", "paused": True}, response_only=True)
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        return self.change(request, connection_id, services.pause_connection)


class ResumeConnection(_Change):
    """Syncs go on."""

    @extend_schema(
        operation_id="resumeConnection",
        tags=TAGS,
        summary="Resume a connection's syncs",
        request=None,
        responses=ConnectionSerializer,
        examples=[OpenApiExample("Resumed", examples.CONNECTION, response_only=True)],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        return self.change(request, connection_id, services.resume_connection)


class DisconnectConnection(_Change):
    """The end of a connection."""

    @extend_schema(
        operation_id="disconnectConnection",
        tags=TAGS,
        summary="End a connection",
        description=(
            "Its secrets are deleted and its tokens revoked; syncs stop at their page, and what was not sent yet is not"
            " sent any more. The records copied so far stay readable. `POST .../reconnect` brings it back."
        ),
        request=None,
        responses=ConnectionSerializer,
        examples=[
            OpenApiExample(
                "Disconnected", {**examples.CONNECTION, "status": "disconnected", "secrets": []}, response_only=True
            )
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        return self.change(request, connection_id, services.disconnect_connection)


class ReconnectConnection(ApiView):
    """A disconnected connection begins again."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="reconnectConnection",
        tags=TAGS,
        summary="Bring a disconnected connection back",
        description=(
            "It keeps its id, records and schedules. Every secret is entered again; in `config` each key given is set, or"
            " removed by null. It is tried out at once: `check` says how it went. When it is active its syncs catch up from"
            " where they stood. Its tokens stay revoked: make new ones. One that is not disconnected is 409"
            " CONNECTION_NOT_DISCONNECTED."
        ),
        request=ReconnectSerializer,
        responses=CheckedConnectionSerializer,
        examples=[
            OpenApiExample("Request", examples.RECONNECT, request_only=True),
            OpenApiExample("Active", {**examples.CONNECTION, "check": examples.CHECK}, response_only=True),
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        values, by = validated(ReconnectSerializer, request), str(request.user)
        services.reconnect_connection(connection, by=by, check=False, **values)
        outcome = services.check_connection(connection, by=by)
        connection.refresh_from_db()
        return Response(body_of(connection, outcome))
