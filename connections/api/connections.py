"""Connections: made, seen, changed and tried out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections import services
from connections.api import examples
from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from connections.serializers import (
    CheckedConnectionSerializer,
    CheckOutcomeSerializer,
    ConnectionChangeSerializer,
    ConnectionListSerializer,
    ConnectionSerializer,
    HealthSerializer,
    NewConnectionSerializer,
    PurgingSerializer,
    connection_body,
)
from connections.services import CheckOutcome
from connections.views import find_connection, visible_connections
from core import ids
from core.api_errors import ForbiddenError
from core.errors import FieldError, NotFoundError, ValidationFailedError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from, text_from
from workspaces.choices import Scope
from workspaces.views import ApiView

METADATA = "metadata."
TAGS = ["connections"]


class _ListParameters(frozenset[str]):
    """The known names, and `metadata.` with any key of the caller's."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (
            isinstance(name, str) and len(name) > len(METADATA) and name.startswith(METADATA)
        )


class Connections(ApiView):
    """Connections of the token's environment."""

    scopes = {"GET": Scope.CONNECTIONS_READ, "POST": Scope.CONNECTIONS_WRITE}
    parameters = {"GET": _ListParameters({"limit", "cursor", "system", "status", "customer_reference", "q"})}

    @extend_schema(
        operation_id="listConnections",
        tags=TAGS,
        summary="List connections",
        description="Newest first. `metadata.<key>=<value>` finds connections by your own metadata.",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("system", str, description="Slug of the system"),
            OpenApiParameter("status", str, enum=ConnectionStatus.values),
            OpenApiParameter("customer_reference", str, description="Exactly this reference"),
            OpenApiParameter("q", str, description="Part of the name or the customer reference"),
        ],
        responses=ConnectionListSerializer,
        examples=[
            OpenApiExample("Page", {"data": [examples.CONNECTION], "next_cursor": None}, response_only=True),
        ],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="connections")
        rows = _filtered(visible_connections(self.token), request).order_by("-pk")
        page = list((rows.filter(pk__lt=after[0]) if after else rows)[: limit + 1])
        shown, more = page[:limit], len(page) > limit
        cursor = None
        if more:
            cursor = encode_cursor((shown[-1].pk,), purpose="connections", filters=filters_of(request))
        return Response({"data": bodies_of(shown), "next_cursor": cursor})

    @extend_schema(
        operation_id="createConnection",
        tags=TAGS,
        summary="Create a connection",
        description=(
            "The connection is stored and tried out at once: `check` says how it went. When the check fails it is kept"
            " as `pending` with the error, so that nothing typed is lost: correct it by PATCH, which checks again."
            " Its syncs begin when it is active. Values that cannot be right are 422 and nothing is stored."
        ),
        request=NewConnectionSerializer,
        responses={201: CheckedConnectionSerializer},
        examples=[
            OpenApiExample("Request", examples.NEW, request_only=True),
            OpenApiExample(
                "Active", {**examples.CONNECTION, "check": examples.CHECK}, response_only=True, status_codes=["201"]
            ),
            OpenApiExample(
                "Pending",
                {**examples.PENDING, "check": examples.FAILED_CHECK},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        if self.token.connection_id is not None:
            raise ForbiddenError("A connection token cannot make connections; use a workspace token.")
        values = validated(NewConnectionSerializer, request)
        by = str(request.user)
        try:
            made = services.create_connection(
                workspace=self.workspace,
                environment=self.token.environment,
                secrets=values.pop("secrets", {}),
                by=by,
                check=False,
                **values,
            )
        except NotFoundError as error:
            raise ValidationFailedError(
                error.detail, errors=(FieldError("/system", "UNKNOWN_SYSTEM", error.detail),)
            ) from error
        outcome = services.check_connection(made, by=by)
        made.refresh_from_db()
        location = f"/api/v1/connections/{ids.show(Connection.PREFIX, made.pk)}"
        return Response(body_of(made, outcome), status=201, headers={"Location": location})


class OneConnection(ApiView):
    """One connection."""

    scopes = {
        "GET": Scope.CONNECTIONS_READ,
        "PATCH": Scope.CONNECTIONS_WRITE,
        "DELETE": Scope.CONNECTIONS_WRITE,
    }

    @extend_schema(
        operation_id="getConnection",
        tags=TAGS,
        summary="See a connection",
        responses=ConnectionSerializer,
        examples=[OpenApiExample("Connection", examples.CONNECTION, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        return Response(bodies_of([find_connection(self.token, connection_id)])[0])

    @extend_schema(
        operation_id="changeConnection",
        tags=TAGS,
        summary="Change a connection",
        description=(
            "What is left out stays as it is; in `config`, `secrets` and `metadata` each key given is set, or removed by"
            " null. Changing an address, the proxy or the certificate authority demands every secret again, else 422"
            " SECRETS_REQUIRED. What calls depend on is tried out at once; working secrets end `needs_reauth`."
        ),
        request=ConnectionChangeSerializer,
        responses=CheckedConnectionSerializer,
        examples=[
            OpenApiExample("Request", examples.CHANGE, request_only=True),
            OpenApiExample("Changed", {**examples.CONNECTION, "check": examples.CHECK}, response_only=True),
        ],
    )
    def patch(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        changes, by = validated(ConnectionChangeSerializer, request), str(request.user)
        secrets = changes.pop("secrets", {})
        services.update_connection(connection, changes=changes, secrets=secrets, by=by, check=False)
        outcome = None
        if services.needs_check(changes, secrets):
            outcome = services.check_connection(connection, by=by)
            connection.refresh_from_db()
        return Response(body_of(connection, outcome))

    @extend_schema(
        operation_id="deleteConnection",
        tags=TAGS,
        summary="Delete a connection and all of its data",
        description=(
            "The connection is gone for everybody at once, and its secrets with it. Everything copied from the system, its"
            " runs, operations, calls, mappings and tokens are purged within minutes, and the `data` of its events is"
            " emptied; the audit log keeps a receipt with the number of rows. It cannot be undone."
        ),
        request=None,
        responses={202: PurgingSerializer},
        examples=[OpenApiExample("Purging", examples.PURGING, response_only=True, status_codes=["202"])],
    )
    def delete(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        services.delete_connection(connection, by=str(request.user))
        return Response({"id": ids.show(Connection.PREFIX, connection.pk), "status": "purging"}, status=202)


class CheckConnection(ApiView):
    """Trying a connection out."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="checkConnection",
        tags=TAGS,
        summary="Try a connection out",
        description=(
            "Signs in and reads one object of each entity. 200 also when a check fails: `ok` and `checks` say which."
        ),
        request=None,
        responses=CheckOutcomeSerializer,
        examples=[
            OpenApiExample("Works", examples.CHECK, response_only=True),
            OpenApiExample("Fails", examples.FAILED_CHECK, response_only=True),
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        return Response(services.check_connection(connection, by=str(request.user)).as_json())


class ConnectionHealth(ApiView):
    """How a connection fares."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="getConnectionHealth",
        tags=TAGS,
        summary="See a connection's health",
        responses=HealthSerializer,
        examples=[OpenApiExample("Offline", examples.HEALTH, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        return Response({name: getattr(connection, name) for name in HealthSerializer().get_fields()})


def _filtered(rows: Any, request: Request) -> Any:
    if system := text_from(request, "system"):
        rows = rows.filter(system=system)
    if status := choice_from(request, "status", ConnectionStatus.values):
        rows = rows.with_status(status)
    if reference := text_from(request, "customer_reference"):
        rows = rows.filter(customer_reference=reference)
    if text := text_from(request, "q", max_length=120):
        rows = rows.search(text)
    for name in request.GET:
        if name.startswith(METADATA):
            rows = rows.with_metadata(name[len(METADATA) :], text_from(request, name) or "")
    return rows


def validated(kind: type[ConnectionChangeSerializer], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def bodies_of(connections: list[Connection]) -> list[dict[str, Any]]:
    """Connections as shown, with the names of their secrets and where references lead read at once."""
    secrets: dict[UUID, dict[str, str]] = {}
    stored = Credential.objects.filter(connection__in=connections)
    for connection_id, name, reference in stored.values_list("connection_id", "name", "reference"):
        secrets.setdefault(connection_id, {})[name] = reference
    bodies = []
    for connection in connections:
        found = secrets.get(connection.pk, {})
        references = {name: reference for name, reference in found.items() if reference}
        bodies.append(connection_body(connection, frozenset(found), references))
    return bodies


def body_of(connection: Connection, outcome: CheckOutcome | None) -> dict[str, Any]:
    return {**bodies_of([connection])[0], "check": outcome.as_json() if outcome else None}
