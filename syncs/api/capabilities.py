"""What may be done with an entity or with one record of it now, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.request import Request
from rest_framework.response import Response

from connections.services import Card, Denial, card_of, write_schema
from core import ids
from core.api_errors import NotFoundHereError
from core.parameters import text_from
from integrations.entities import Entity
from integrations.entities.spec import FieldSpec
from integrations.sdk.mapping import CUSTOM
from syncs.api.records import RecordView
from syncs.api.schema import CONNECTION
from syncs.records import Selection, as_texts
from workspaces.choices import Scope
from workspaces.scopes import grants, scope_of_entity

WRITES = ("create", "update", "delete")
_NO_SCOPE = Denial("scope", f"The token needs the scope {Scope.RECORDS_WRITE}.")


class CapabilityView(RecordView):
    """What the views of capabilities share."""

    def scope_denial(self) -> Denial | None:
        """What the caller's token lacks; told only where nothing else is in the way."""
        needed = scope_of_entity(Scope.RECORDS_WRITE, self.entity_name)
        return None if grants(self.token.scopes, needed) else _NO_SCOPE


class EntityMeta(CapabilityView):
    """The JSON Schemas of writes."""

    def get(self, request: Request) -> Response:
        named = text_from(request, "op", max_length=60)
        self.copy()
        card = card_of(self.connection, self.entity.describes.name)
        if named is not None:
            return Response(self._schema(card, named))
        actions = [action.name for action in card.resource.actions]
        return Response(
            {
                "connection_id": ids.show(self.connection.PREFIX, self.connection_id),
                "entity": card.spec.name,
                "operations": {name: self._schema(card, name) for name in WRITES},
                "actions": {name: self._schema(card, name) for name in actions},
            }
        )

    def _schema(self, card: Card, named: str) -> dict[str, Any]:
        """Of a write, or of the action of this name."""
        schema = write_schema(card, named) if named in WRITES else write_schema(card, "action", action=named)
        schema |= {"x-connection-id": ids.show(self.connection.PREFIX, self.connection_id), "x-entity": card.spec.name}
        denial = self.scope_denial()
        if schema["x-allowed"] and denial is not None:
            schema |= {"x-allowed": False, "x-reason-code": denial.reason, "x-reason": denial.detail}
        return schema


class RecordCapabilities(CapabilityView):
    """What may be done with one record as it is now."""

    def get(self, request: Request, record_id: str) -> Response:
        self.copy()
        described = self.entity.describes
        pk = ids.read(described.id_prefix, record_id)
        rows = self.read(Selection(ids=[pk]), self.entity, limit=1) if pk is not None else []
        if not rows:
            raise NotFoundHereError(f"There is no such {described.title.lower()} in this connection.")
        (text,) = as_texts(rows)
        record = orjson.loads(text)
        status = record.get("remote_status")
        card, scope = card_of(self.connection, described.name), self.scope_denial()
        return Response({"id": record["id"], "entity": described.name, "status": status, **_told(card, status, scope)})


def _told(card: Card, status: str | None, scope: Denial | None) -> dict[str, Any]:
    update, delete = card.operation("update", status), card.operation("delete", status)
    removal = card.write("delete", status) if delete is None else None
    return {
        "operations": {
            "update": _allowed(update or scope),
            "delete": _allowed(delete or scope) | {"kind": (removal.kind or "hard") if removal else None},
        },
        "actions": {
            action.name: {"title": action.title, **_allowed(card.action(action.name, status) or scope)}
            for action in card.resource.actions
        },
        "fields": {
            name: _changeable(card.field("update", name, status) or scope)
            for name in (*_names(card.spec.fields), *(row.target for row in card.rows if row.target.startswith(CUSTOM)))
        },
    }


def _allowed(denial: Denial | None) -> dict[str, Any]:
    return {"allowed": denial is None, "reason": denial.as_json() if denial else None}


def _changeable(denial: Denial | None) -> dict[str, Any]:
    return {"may_change": denial is None, "reason": denial.as_json() if denial else None}


def _names(specs: Iterable[FieldSpec], prefix: str = "") -> list[str]:
    """Every field, those inside of others as `lines.quantity`."""
    found: list[str] = []
    for spec in specs:
        found += [prefix + spec.name, *_names(spec.item, f"{prefix}{spec.name}.")]
    return found


# --- documented ---------------------------------------------------------------------------------------------------------

_OBJECT = {"type": "object", "additionalProperties": True}
_REASON: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "Why not; null when it may.",
    "required": ["code", "detail"],
    "properties": {
        "code": {
            "type": "string",
            "enum": ["platform", "source", "permission", "status", "scope", "override"],
            "description": (
                "Who is in the way: our connector or the mapping, the system, the rights of its account, the record's"
                " status, your token's scopes, an administrator of the connection"
            ),
        },
        "detail": {"type": "string"},
    },
}


def _flag(name: str, **more: Any) -> dict[str, Any]:
    properties = {name: {"type": "boolean"}, "reason": _REASON, **more}
    return {"type": "object", "required": [name, "reason"], "properties": properties}


_RECORD_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "entity", "status", "operations", "actions", "fields"],
    "properties": {
        "id": {"type": "string"},
        "entity": {"type": "string"},
        "status": {"type": ["string", "null"], "description": "`remote_status` of our copy, which decided"},
        "operations": {
            "type": "object",
            "properties": {
                "update": _flag("allowed"),
                "delete": _flag("allowed", kind={"type": ["string", "null"], "description": "What it would do there"}),
            },
        },
        "actions": {"type": "object", "additionalProperties": _flag("allowed", title={"type": "string"})},
        "fields": {
            "type": "object",
            "description": "Every field; those inside of a list or object as `lines.quantity`, mapped ones as `custom.x`",
            "additionalProperties": _flag("may_change"),
        },
    },
}
_META_EXAMPLE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Update purchase order",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "notes": {"description": "Free text.", "type": ["string", "null"], "maxLength": 65536, "x-writable-in": None},
        "number": {
            "type": ["string", "null"],
            "readOnly": True,
            "x-reason-code": "source",
            "x-reason": "number cannot be written in this system.",
        },
    },
    "required": [],
    "x-allowed": True,
    "x-connection-id": "con_0192f0c1a2b34c5d8e9f00112233aabb",
    "x-entity": "purchase_order",
}
_RECORD_EXAMPLE: dict[str, Any] = {
    "id": "po_0192f0c1a2b34c5d8e9f00112233aabb",
    "entity": "purchase_order",
    "status": "confirmed",
    "operations": {
        "update": {"allowed": True, "reason": None},
        "delete": {
            "allowed": False,
            "reason": {
                "code": "status",
                "detail": "A purchase order cannot be deleted while it is confirmed: cancel it.",
            },
            "kind": None,
        },
    },
    "actions": {"cancel": {"title": "Cancel", "allowed": True, "reason": None}},
    "fields": {
        "notes": {"may_change": True, "reason": None},
        "number": {
            "may_change": False,
            "reason": {"code": "source", "detail": "number cannot be written in this system."},
        },
    },
}
_OP = OpenApiParameter(
    "op", str, description="`create`, `update`, `delete` or the name of an action; without it all of them are told"
)
_NOT_SUPPORTED = OpenApiResponse(description="OPERATION_NOT_SUPPORTED: the connection's system has no such entity")


def meta_view(entity: type[Entity]) -> type[EntityMeta]:
    """The schemas of writes of an entity, documented."""
    described = entity.describes
    names = {"GET": frozenset({"op", "connection"})}
    members = {"entity": entity, "parameters": names, "__doc__": EntityMeta.__doc__}
    view = type(f"{entity.__name__}Meta", (EntityMeta,), members)
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"get{entity.__name__}Meta",
            tags=[described.slug],
            summary=f"See how a {described.title.lower()} is written",
            description=(
                "The JSON Schema (2020-12) of the request body, for this connection: what is required, what cannot be"
                " sent (`readOnly`, with `x-reason`), the values there are, and in `x-writable-in` the source's statuses"
                " in which a field may be sent (null: any). `x-allowed` is false when the whole may not be done."
            ),
            parameters=[_OP, *CONNECTION],
            responses={200: _OBJECT, 422: _NOT_SUPPORTED},
            examples=[OpenApiExample("Update", _META_EXAMPLE, response_only=True, status_codes=["200"])],
        )
    )(view)


def capabilities_view(entity: type[Entity]) -> type[RecordCapabilities]:
    """The capabilities of one record of an entity, documented."""
    described = entity.describes
    names = {"GET": frozenset({"connection"})}
    members = {"entity": entity, "parameters": names, "__doc__": RecordCapabilities.__doc__}
    view = type(f"{entity.__name__}Capabilities", (RecordCapabilities,), members)
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"get{entity.__name__}Capabilities",
            tags=[described.slug],
            summary=f"See what may be done with one {described.title.lower()} now",
            description="Judged by the status our copy has; a write reads the object again and judges by that.",
            parameters=CONNECTION,
            responses={200: _RECORD_ANSWER, 422: _NOT_SUPPORTED},
            examples=[OpenApiExample("Confirmed", _RECORD_EXAMPLE, response_only=True, status_codes=["200"])],
        )
    )(view)
