"""The views of each entity with their documentation, and the entities' schemas in the published OpenAPI document."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from integrations.entities import Entity, openapi_schemas, sample
from syncs.api.filters import list_parameters, one_parameters
from syncs.api.records import OneRecord, RecordList
from syncs.api.write_docs import CONNECTION, create_docs, delete_docs, update_docs
from syncs.api.write_schemas import write_schemas
from syncs.api.writes import WRITE_PARAMETERS, WRITE_SCOPES, ChangeRecord, CreateRecord
from syncs.choices import SyncState
from workspaces.choices import Scope

__all__ = ["CONNECTION", "add_entity_schemas", "list_view", "one_view"]

View = TypeVar("View")
_NOT_SUPPORTED = OpenApiResponse(description="OPERATION_NOT_SUPPORTED: the connection's system has no such entity")


def list_view(entity: type[Entity]) -> type[RecordList]:
    """The list of an entity, where new ones are posted too, documented."""
    described = entity.describes
    parameters = list_parameters(entity)
    view = _made(entity, RecordList, CreateRecord, "List", _names(parameters))
    page = {
        "type": "object",
        "required": ["data", "next_cursor", "meta"],
        "properties": {
            "data": {"type": "array", "items": _reference(entity)},
            "next_cursor": {"type": ["string", "null"], "description": "Send it as `cursor`; null on the last page"},
            "meta": {"$ref": "#/components/schemas/RecordListMeta"},
        },
    }
    example = {
        "data": [sample(entity)],
        "next_cursor": None,
        "meta": {"data_as_of": "2026-10-20T06:24:58Z", "sync_status": "completed"},
    }
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"list{described.plural.title().replace('_', '')}",
            tags=[described.slug],
            summary=f"List {described.plural.replace('_', ' ')}",
            description=(
                f"{described.description} In order of `changed_at`, then `id`: what changes while you page comes again"
                " at the end. Without `include_deleted` there are no tombstones."
            ),
            parameters=[*parameters, *CONNECTION],
            responses={200: page, 422: _NOT_SUPPORTED},
            examples=[OpenApiExample("Page", example, response_only=True, status_codes=["200"])],
        ),
        post=create_docs(entity),
    )(view)


def one_view(entity: type[Entity]) -> type[OneRecord]:
    """The detail of an entity, where it is changed and deleted too, documented."""
    described = entity.describes
    parameters = one_parameters(entity)
    view = _made(entity, OneRecord, ChangeRecord, "Detail", _names(parameters))
    etag = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, description="The version, quoted", response=[200])
    known = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An ETag you hold")
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"get{entity.__name__}",
            tags=[described.slug],
            summary=f"See one {described.title.lower()}",
            description=f"{described.description} 404 when it was deleted at the source, unless `include_deleted=true`.",
            parameters=[*parameters, *CONNECTION, known, etag],
            responses={
                200: _reference(entity),
                304: OpenApiResponse(description="You have this version"),
                422: _NOT_SUPPORTED,
            },
            examples=[OpenApiExample("Record", sample(entity), response_only=True, status_codes=["200"])],
        ),
        patch=update_docs(entity),
        delete=delete_docs(entity),
    )(view)


def add_entity_schemas(result: dict[str, Any], generator: Any, **_: Any) -> dict[str, Any]:
    """drf-spectacular post-processing hook: put the records' schemas among the components."""
    components = result.setdefault("components", {}).setdefault("schemas", {})
    ours = {**openapi_schemas(), **write_schemas(), "RecordListMeta": _META}
    taken = sorted(set(ours) & set(components))
    if taken:
        raise ValueError(f"These schema names are used by an entity and by a serializer: {', '.join(taken)}.")
    components.update(ours)
    return result


_META: dict[str, Any] = {
    "type": "object",
    "description": "How fresh the copy is.",
    "required": ["data_as_of", "sync_status"],
    "properties": {
        "data_as_of": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "The copy holds everything the source had at this time; null before the first sync ended",
        },
        "sync_status": {"type": "string", "enum": [state.value for state in SyncState]},
    },
}


def _made(
    entity: type[Entity], reading: type[View], writing: type[Any], name: str, parameters: frozenset[str]
) -> type[View]:
    """A view that reads and writes at one address."""
    members = {
        "entity": entity,
        "scopes": {"GET": Scope.RECORDS_READ, **WRITE_SCOPES},
        "parameters": {"GET": parameters, **dict.fromkeys(WRITE_SCOPES, WRITE_PARAMETERS)},
        "__doc__": reading.__doc__,
    }
    return cast("type[View]", type(f"{entity.__name__}{name}", (reading, writing), members))


def _names(parameters: tuple[OpenApiParameter, ...]) -> frozenset[str]:
    return frozenset({parameter.name for parameter in parameters} | {"connection"})


def _reference(entity: type[Entity]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{entity.__name__}Record"}
