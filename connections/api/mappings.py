"""How entities of a connection are mapped: see it, override it, try rows on real objects, go back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections import services
from connections.api import examples
from connections.models import Connection, Mapping, MappingField
from connections.serializers import (
    DraftSerializer,
    MappingListSerializer,
    MappingRequestSerializer,
    MappingSerializer,
    PreviewSerializer,
)
from connections.services.mapping_versions import refuse_foreign
from connections.services.mappings import Definitions
from connections.services.opening import connector_of
from connections.services.previews import preview_mapping
from connections.views import find_connection
from core import ids
from core.api_errors import NotFoundHereError
from core.errors import NotFoundError
from core.serializers import StrictSerializer
from integrations.entities import ENTITIES, by_slug
from workspaces.choices import Scope
from workspaces.views import ApiView

TAGS = ["mappings"]
_EXAMPLE = OpenApiExample("Mapping", examples.MAPPING, response_only=True)
_ROWS = OpenApiExample("Rows", examples.ROWS, request_only=True)


class Mappings(ApiView):
    """The mappings of a connection, in short."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="listMappings",
        tags=TAGS,
        summary="List how a connection's entities are mapped",
        description=(
            "One for each entity the system has: the versions in force and the fields this connection overrides. `url`"
            " leads to the rows."
        ),
        responses=MappingListSerializer,
        examples=[
            OpenApiExample("Mappings", {"data": examples.MAPPING_SUMMARIES, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        return Response({"data": summaries(find_connection(self.token, connection_id)), "next_cursor": None})


class OneMapping(ApiView):
    """The mapping of one entity."""

    scopes = {
        "GET": Scope.CONNECTIONS_READ,
        "PUT": Scope.CONNECTIONS_WRITE,
        "DELETE": Scope.CONNECTIONS_WRITE,
    }

    @extend_schema(
        operation_id="getMapping",
        tags=TAGS,
        summary="See how an entity is mapped",
        description="The rows in force, each from the connector's default or from this connection's override.",
        responses=MappingSerializer,
        examples=[_EXAMPLE],
    )
    def get(self, request: Request, connection_id: str, entity: str) -> Response:
        return Response(mapping_body(find_connection(self.token, connection_id), entity_of(entity)))

    @extend_schema(
        operation_id="setMapping",
        tags=TAGS,
        summary="Override how an entity is mapped",
        description=(
            "Replaces this connection's override by `rows`, as a new version. A row replaces the default row with the"
            " same `target`; a row with `target` alone leaves that field out. What was copied is mapped anew within"
            " seconds, without asking the system. With `base_version`, a version that somebody else published meanwhile"
            " is not overwritten: 409 `MAPPING_CHANGED` says who, when and which. An exported document can be sent as"
            " it is, with `base_version` and `reason` beside its rows."
        ),
        request=MappingRequestSerializer,
        responses=MappingSerializer,
        examples=[_ROWS, _EXAMPLE],
    )
    def put(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        given = sent(request, MappingRequestSerializer)
        refuse_foreign(connection, name, given)
        services.set_mapping(
            connection,
            name,
            given["rows"],
            by=str(request.user),
            reason=given.get("reason", ""),
            base_version=given.get("base_version"),
        )
        return Response(mapping_body(connection, name))

    @extend_schema(
        operation_id="resetMapping",
        tags=TAGS,
        summary="Return to the connector's default mapping",
        responses={200: MappingSerializer},
        examples=[OpenApiExample("Default", {**examples.MAPPING, "override": None}, response_only=True)],
    )
    def delete(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        services.set_mapping(connection, name, None, by=str(request.user))
        return Response(mapping_body(connection, name))


class PreviewMapping(ApiView):
    """Rows tried on objects of the system."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="previewMapping",
        tags=TAGS,
        summary="Try mapping rows on real objects",
        description="Reads up to three objects from the system and maps them with `rows` over the default. Stores nothing.",
        request=DraftSerializer,
        responses=PreviewSerializer,
        examples=[_ROWS, OpenApiExample("Preview", examples.PREVIEW, response_only=True)],
    )
    def post(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        return Response({"data": preview_mapping(connection, name, sent(request, DraftSerializer)["rows"])})


def entity_of(text: str) -> str:
    """The entity's name, given as in URLs (`purchase-orders`) or by name (`purchase_order`)."""
    if text in ENTITIES:
        return text
    try:
        return by_slug(text).describes.name
    except NotFoundError as error:
        raise NotFoundHereError(error.detail) from error


def mapping_body(connection: Connection, entity: str) -> dict[str, Any]:
    """The rows in force with their origin; removed ones say so."""
    effective = services.effective_mapping(connection, entity)
    own = services.definitions_of(effective.override) if effective.override else {}
    rows = {**services.definitions_of(effective.default), **own}
    return {
        "entity": entity,
        "default": version_body(effective.default),
        "override": version_body(effective.override) if own else None,
        "base_version": effective.override.version if effective.override else 0,
        "rows": [_row(target, definition, overridden=target in own) for target, definition in rows.items()],
    }


def summaries(connection: Connection) -> list[dict[str, Any]]:
    """The mapping of each entity in short; the rows of all of them are read at once."""
    entities = list(connector_of(connection).resources())
    defaults = {entity: services.ensure_default_mapping(connection.system, entity) for entity in entities}
    current = Mapping.objects.filter(connection_id=connection.pk, is_current=True)
    overrides: dict[str, Mapping] = {mapping.entity: mapping for mapping in current}
    rows: dict[UUID, Definitions] = {}
    stored = MappingField.objects.filter(mapping__in=[*defaults.values(), *overrides.values()])
    for pk, target, definition in stored.values_list("mapping_id", "target", "definition"):
        rows.setdefault(pk, {})[target] = definition
    return [_summary(connection, default, overrides.get(entity), rows) for entity, default in defaults.items()]


def _summary(
    connection: Connection, default: Mapping, override: Mapping | None, rows: dict[UUID, Definitions]
) -> dict[str, Any]:
    own = rows.get(override.pk, {}) if override else {}
    merged = {**rows.get(default.pk, {}), **own}
    shown, slug = ids.show(Connection.PREFIX, connection.pk), ENTITIES[default.entity].describes.slug
    return {
        "entity": default.entity,
        "default_version": default.version,
        "override_version": override.version if override and own else None,
        "row_count": sum(1 for definition in merged.values() if definition),
        "overridden_targets": list(own),
        "url": f"/api/v1/connections/{shown}/mappings/{slug}",
    }


def _row(target: str, definition: dict[str, Any], *, overridden: bool) -> dict[str, Any]:
    return {
        "target": target,
        "source": definition.get("source", ""),
        "transforms": definition.get("transforms", []),
        "name_source": definition.get("name_source"),
        "items": definition.get("items", []),
        "read_only": definition.get("read_only", False),
        **{name: definition.get(name) for name in ("write", "type", "title")},
        "origin": "override" if overridden else "default",
        "removed": not definition,
    }


def version_body(mapping: Mapping | None) -> dict[str, Any] | None:
    if mapping is None:
        return None
    return {
        "id": ids.show(Mapping.PREFIX, mapping.pk),
        "version": mapping.version,
        "created_at": mapping.created_at,
        "created_by": mapping.created_by,
        "reason": mapping.reason,
        "restores": mapping.restores,
    }


def sent(request: Request, kind: type[StrictSerializer]) -> dict[str, Any]:
    """The body, checked."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given
