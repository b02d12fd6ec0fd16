"""What can be done through a connection, and what an administrator forbids."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections import services
from connections.api import examples
from connections.capability_serializers import OverrideListSerializer, OverridesRequestSerializer, override_body
from connections.models import CapabilityOverride
from connections.views import find_connection
from workspaces.choices import Scope
from workspaces.views import ApiView

TAGS = ["connections"]


class ConnectionCapabilities(ApiView):
    """What can be done through a connection."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="getConnectionCapabilities",
        tags=TAGS,
        summary="See what a connection can do",
        description=(
            "By entity: computed from what the connector declares and the mapping in force, narrowed by what the account"
            " was found to be allowed and by what an administrator forbade. For one record ask"
            " `/{entities}/{id}/capabilities`, for the schema of a write `/{entities}/meta`."
        ),
        responses={200: {"type": "object", "additionalProperties": {"type": "object"}}},
        examples=[OpenApiExample("Capabilities", {"vendor": examples.CAPABILITY}, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        return Response(services.capabilities(find_connection(self.token, connection_id)))


class CapabilityOverrides(ApiView):
    """What an administrator forbids for a connection."""

    scopes = {"GET": Scope.CONNECTIONS_READ, "PUT": Scope.CAPABILITIES_WRITE}

    @extend_schema(
        operation_id="listCapabilityOverrides",
        tags=TAGS,
        summary="See what is forbidden for a connection",
        responses=OverrideListSerializer,
        examples=[OpenApiExample("Overrides", {"data": [examples.OVERRIDE], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        return _answer(services.overrides_of(find_connection(self.token, connection_id)))

    @extend_schema(
        operation_id="setCapabilityOverrides",
        tags=TAGS,
        summary="Forbid writes for a connection",
        description=(
            "Replaces all that is forbidden. A row forbids an operation (`create`, `update`, `delete`, `action`) of an"
            " entity, or one field or action of it. Rows only narrow: what the system or its account does not allow stays"
            " so. Forbidding `update` as a whole forbids the actions too."
        ),
        request=OverridesRequestSerializer,
        responses=OverrideListSerializer,
        examples=[
            OpenApiExample("Request", {"overrides": [examples.NEW_OVERRIDE]}, request_only=True),
            OpenApiExample("Overrides", {"data": [examples.OVERRIDE], "next_cursor": None}, response_only=True),
        ],
    )
    def put(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        serializer = OverridesRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = [services.NewOverride(**row) for row in serializer.validated_data["overrides"]]
        return _answer(services.set_overrides(connection, wanted, by=str(request.user)))


def _answer(rows: list[CapabilityOverride]) -> Response:
    data: list[dict[str, Any]] = [override_body(row) for row in rows]
    return Response({"data": data, "next_cursor": None})
