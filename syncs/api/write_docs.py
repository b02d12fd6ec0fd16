"""How the writes of each entity are told in the published document, and their views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from integrations.entities import Entity, sample
from syncs.api import operation_examples as examples
from syncs.api.bulk import BulkWrite
from syncs.api.operation_serializers import BulkAnswerSerializer, BulkSerializer
from syncs.api.operations import PREFER
from syncs.api.write_schemas import schema_reference
from syncs.api.writes import WRITE_PARAMETERS, ActOnRecord, RefreshRecord

HEADER: Literal["header"] = "header"
CONNECTION = [
    OpenApiParameter("connection", str, description="The connection (`con_...`); a connection token implies it"),
    OpenApiParameter("X-Connection-Id", str, HEADER, description="The connection, instead of `?connection=`"),
]
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    HEADER,
    description="1 to 255 visible ASCII characters, kept 30 days: the same key and body is the same operation",
)
IF_MATCH = OpenApiParameter("If-Match", str, HEADER, description='The record\'s ETag, such as `"3"`, or `*`')
DRY_RUN = OpenApiParameter("dry_run", bool, description="Show what would be sent and changed; send nothing")
_COMMON = [*CONNECTION, PREFER, KEY, DRY_RUN]
_TOLD = [
    OpenApiParameter("X-Operation-Id", str, HEADER, description="The operation", response=[200, 201, 202]),
    OpenApiParameter("ETag", str, HEADER, description="The record's version, quoted", response=[200, 201]),
    OpenApiParameter("Location", str, HEADER, description="The record, or the operation", response=[201, 202]),
    OpenApiParameter("Retry-After", int, HEADER, description="Seconds until it is worth asking", response=[202]),
    OpenApiParameter(
        "Idempotency-Replayed", str, HEADER, description="`true`: the key was known", response=[200, 201, 202]
    ),
]
_REFUSED = OpenApiResponse(
    description="Not valid, not supported, or forbidden by mapping, status, rights or an administrator (`reason`); or the"
    " system refused"
)
_CHANGED = OpenApiResponse(description="VERSION_CONFLICT: it is not that version; `record` is it as it is now")
_OBJECT = {"type": "object", "additionalProperties": True}

Documented = Callable[[Any], Any]
View = TypeVar("View")


def answer_schema(entity: type[Entity]) -> dict[str, Any]:
    """The body of 200, 201 and 202."""
    return {
        "type": "object",
        "required": ["operation", "record"],
        "properties": {
            "operation": {"$ref": "#/components/schemas/Operation"},
            "record": {
                "description": "As a GET of it gives; null while there is none, and once it is gone",
                "anyOf": [{"$ref": f"#/components/schemas/{entity.__name__}Record"}, {"type": "null"}],
            },
        },
    }


def _responses(entity: type[Entity], *statuses: int) -> dict[Any, Any]:
    """The dry run is told beside the write in 200."""
    plain = answer_schema(entity)
    dry = {"$ref": "#/components/schemas/DryRun"}
    found: dict[Any, Any] = dict.fromkeys(statuses, plain)
    return found | {200: {"anyOf": [plain, dry]}, 422: _REFUSED}


def create_docs(entity: type[Entity]) -> Documented:
    """POST of the list."""
    described, record = entity.describes, sample(entity)
    body = {name: record[name] for name in entity.example if _is_sent(entity, name)}
    return extend_schema(
        operation_id=f"create{entity.__name__}",
        tags=[described.slug],
        summary=f"Create a {described.title.lower()}",
        description=(
            "In the customer's system. Answers when the system has, within the wait: 201 with the record as it was read"
            " back. 202 when it takes longer, or when its outcome is not known yet."
        ),
        parameters=[*_COMMON, *_TOLD],
        request={"application/json": schema_reference(entity, "create")},
        responses=_responses(entity, 201, 202),
        examples=[
            OpenApiExample("New", body, request_only=True),
            _example("Created", record, {"kind": "create"}, 201),
            _example("Under way", None, {"status": "queued", "stage": "planned"}, 202),
            OpenApiExample("Dry run", examples.DRY_RUN, response_only=True, status_codes=["200"]),
        ],
    )


def update_docs(entity: type[Entity]) -> Documented:
    """PATCH of one."""
    described, reference = entity.describes, schema_reference(entity, "update")
    return extend_schema(
        operation_id=f"update{entity.__name__}",
        tags=[described.slug],
        summary=f"Change a {described.title.lower()}",
        description=(
            "JSON Merge Patch (RFC 7396), but for lists, whose lines are told apart by `id`. What the system did not take"
            " up comes back as `not_applied`. Where everything is there already, nothing is sent."
        ),
        parameters=[*_COMMON, IF_MATCH, *_TOLD],
        request={"application/json": reference, "application/merge-patch+json": reference},
        responses={**_responses(entity, 202), 412: _CHANGED},
        examples=[_example("Changed", sample(entity), {}, 200)],
    )


def delete_docs(entity: type[Entity]) -> Documented:
    """DELETE of one."""
    described = entity.describes
    return extend_schema(
        operation_id=f"delete{entity.__name__}",
        tags=[described.slug],
        summary=f"Delete a {described.title.lower()}",
        description=(
            "Does what the system does, and says so in `effect`: `hard` (gone), `soft` (flagged), `cancel` (by its status),"
            " `deactivate`. `record` is null when it is gone."
        ),
        parameters=[*_COMMON, IF_MATCH, *_TOLD],
        request=None,
        responses={**_responses(entity, 202), 412: _CHANGED},
        examples=[_example("Gone", None, {"kind": "delete", "request": {}, "diff": [], "effect": "hard"}, 200)],
    )


def action_view(entity: type[Entity]) -> type[ActOnRecord]:
    """Actions of an entity, documented."""
    described = entity.describes
    view = _made(entity, ActOnRecord, "Action", WRITE_PARAMETERS)
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"act{entity.__name__}",
            tags=[described.slug],
            summary=f"Do something with a {described.title.lower()}",
            description=(
                "An action that the connector declares, such as `approve`. The capabilities name them, with their"
                f" parameters and the statuses in which they are possible; `/{described.slug}/meta?op=approve` has the"
                " schema of its body."
            ),
            parameters=[*_COMMON, IF_MATCH, *_TOLD],
            request={"application/json": _OBJECT},
            responses={**_responses(entity, 202), 412: _CHANGED},
            examples=[
                OpenApiExample("Without parameters", {}, request_only=True),
                _example(
                    "Done", sample(entity), {"kind": "action", "action": "approve", "request": {}, "diff": []}, 200
                ),
            ],
        )
    )(view)


def refresh_view(entity: type[Entity]) -> type[RefreshRecord]:
    """Reading one again, documented."""
    described = entity.describes
    view = _made(entity, RefreshRecord, "Refresh", frozenset({"connection"}))
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"refresh{entity.__name__}",
            tags=[described.slug],
            summary=f"Read a {described.title.lower()} again now",
            description="From the system into our copy. 404 when it is gone there; our copy is a tombstone then.",
            parameters=CONNECTION,
            request=None,
            responses={200: {"$ref": f"#/components/schemas/{entity.__name__}Record"}, 422: _REFUSED},
            examples=[OpenApiExample("Record", sample(entity), response_only=True, status_codes=["200"])],
        )
    )(view)


def bulk_view(entity: type[Entity]) -> type[BulkWrite]:
    """Many writes of an entity, documented."""
    described = entity.describes
    view = _made(entity, BulkWrite, "Bulk", frozenset({"connection"}))
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"bulk{entity.__name__}",
            tags=[described.slug],
            summary=f"Write up to 100 {described.plural.replace('_', ' ')}",
            description=(
                "Each item is checked and done alone, as a call of its own would be, and has its own status. 200 when all"
                " have ended within the wait, else 202: ask `/operations?batch=`."
            ),
            parameters=[*CONNECTION, PREFER, KEY],
            request=BulkSerializer,
            responses={200: BulkAnswerSerializer, 202: BulkAnswerSerializer},
            examples=[
                OpenApiExample("Two writes", examples.BULK, request_only=True),
                OpenApiExample("One done, one refused", examples.BULK_ANSWER, response_only=True, status_codes=["200"]),
            ],
        )
    )(view)


def _made(entity: type[Entity], base: type[View], name: str, parameters: frozenset[str]) -> type[View]:
    members = {"entity": entity, "parameters": {"POST": parameters}, "__doc__": base.__doc__}
    return cast("type[View]", type(f"{entity.__name__}{name}", (base,), members))


def _example(name: str, record: Any, changes: dict[str, Any], status: int) -> OpenApiExample:
    entity = record["entity"] if record else "purchase_order"
    told = {"entity": entity, "record_id": record["id"] if record else None}
    body = {"operation": {**examples.UPDATED, **told, **changes}, "record": record}
    return OpenApiExample(name, body, response_only=True, status_codes=[str(status)])


def _is_sent(entity: type[Entity], name: str) -> bool:
    spec = entity.spec().by_name[name]
    return spec.writable and spec.kind in ("string", "text", "date", "reference")
