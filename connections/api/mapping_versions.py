"""Versions of a connection's override: listed, compared, brought back, exported."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api import examples
from connections.api.mappings import TAGS, entity_of, mapping_body, sent, version_body
from connections.serializers import (
    MappingDocumentSerializer,
    MappingSerializer,
    OneVersionSerializer,
    PublishSerializer,
    VersionListSerializer,
)
from connections.services.mapping_versions import (
    as_rows,
    compare_versions,
    export_mapping,
    mapping_versions,
    restore_version,
    version_rows,
)
from connections.views import find_connection
from core.parameters import integer_from
from workspaces.choices import Scope
from workspaces.views import ApiView

MOST = 1_000_000


class MappingVersions(ApiView):
    """The history of an override."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="listMappingVersions",
        tags=TAGS,
        summary="List the versions of an override",
        description="Newest first, the latest 200: who published each, when and why. None where there never was one.",
        responses=VersionListSerializer,
        examples=[OpenApiExample("Versions", {"data": examples.VERSIONS, "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, connection_id: str, entity: str) -> Response:
        found = mapping_versions(find_connection(self.token, connection_id), entity_of(entity))
        told = [
            {**(version_body(one.mapping) or {}), "is_current": one.mapping.is_current, "row_count": one.row_count}
            for one in found
        ]
        return Response({"data": told, "next_cursor": None})


class OneMappingVersion(ApiView):
    """One version with what it changes."""

    scopes = {"GET": Scope.CONNECTIONS_READ}
    parameters = {"GET": {"against"}}

    @extend_schema(
        operation_id="getMappingVersion",
        tags=TAGS,
        summary="See a version and what it changes",
        description=(
            "Field by field against the version before it, or the one named by `against`. Version 0 is the connector's"
            " default alone; both are laid over the default as it is now."
        ),
        parameters=[
            OpenApiParameter("version", int, OpenApiParameter.PATH, description="Version of the override"),
            OpenApiParameter("against", int, description="The version to compare with; the one before when absent"),
        ],
        responses=OneVersionSerializer,
        examples=[OpenApiExample("Version", examples.ONE_VERSION, response_only=True)],
    )
    def get(self, request: Request, connection_id: str, entity: str, version: int) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        against = integer_from(request, "against", low=0, high=MOST)
        if against is None:
            against = max(version - 1, 0)
        rows = version_rows(connection, name, version)
        changes = compare_versions(connection, name, against, version)
        told = [{**asdict(change), "parts": list(change.parts)} for change in changes]
        return Response({"version": version, "against": against, "rows": as_rows(rows), "changes": told})


class RestoreMappingVersion(ApiView):
    """The way back."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="restoreMappingVersion",
        tags=TAGS,
        summary="Bring back an earlier version",
        description=(
            "Publishes its rows as a new version; version 0 returns to the connector's default. What was copied is mapped"
            " anew as after any change. 409 `MAPPING_CHANGED` as when an override is set."
        ),
        parameters=[OpenApiParameter("version", int, OpenApiParameter.PATH, description="The version to bring back")],
        request=PublishSerializer,
        responses={200: MappingSerializer},
        examples=[
            OpenApiExample("Why", {"base_version": 2, "reason": "The rating was empty"}, request_only=True),
            OpenApiExample("Mapping", examples.MAPPING, response_only=True),
        ],
    )
    def post(self, request: Request, connection_id: str, entity: str, version: int) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        given = sent(request, PublishSerializer)
        told: dict[str, Any] = {"reason": given.get("reason", ""), "base_version": given.get("base_version")}
        restore_version(connection, name, version, by=str(request.user), **told)
        return Response(mapping_body(connection, name))


class ExportMapping(ApiView):
    """An override as a document."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="exportMapping",
        tags=TAGS,
        summary="Export an override",
        description=(
            "As a document to keep in version control, or to send to another connection of the same system by `PUT`."
        ),
        responses=MappingDocumentSerializer,
        examples=[OpenApiExample("Document", examples.DOCUMENT, response_only=True)],
    )
    def get(self, request: Request, connection_id: str, entity: str) -> Response:
        return Response(export_mapping(find_connection(self.token, connection_id), entity_of(entity)))
