"""Bodies of writes in the published document: what a system would take that can do everything.

Made by the very function that makes the schema of one connection (`/{entities}/meta`), so that the two cannot drift.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connections.services import Card, write_schema
from integrations.entities import ENTITIES, Entity
from integrations.entities.spec import FieldSpec
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Field, Resource, Write
from integrations.sdk.mapping import MappingRow

REFERENCE = "ReferenceInput"
OPERATIONS = {"create": "Input", "update": "Patch"}
_LEFT_OUT = ("$schema", "$defs", "x-allowed", "x-writable-in")
_CUSTOM = {
    "type": "object",
    "additionalProperties": True,
    "description": "Fields that this connection maps beside the unified ones.",
}
_TEXTS = {
    "create": "A new {noun}. What a connection takes and demands of it is told by `/{slug}/meta?op=create`.",
    "update": (
        "What is to change (JSON Merge Patch): what is left out stays, null clears. Lines are told apart by `id`: with it"
        " that one is changed, without it a new one is added, and `_delete` removes one. What a connection takes is told"
        " by `/{slug}/meta?op=update`."
    ),
}


_DRY_RUN: dict[str, Any] = {
    "type": "object",
    "description": "What would be sent and changed. Nothing was.",
    "required": ["dry_run", "calls", "diff", "effect"],
    "properties": {
        "dry_run": {"const": True},
        "calls": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/PlannedCall"},
            "description": "Empty: everything wished is there already",
        },
        "diff": {"type": "array", "items": {"$ref": "#/components/schemas/Difference"}},
        "effect": {"type": ["string", "null"], "description": "Of a delete: hard, soft, cancel, deactivate"},
    },
}


class _Everything(Connector):
    """Takes every field of every entity as it is. Never opened."""

    slug, title = "everything", "the system"

    @classmethod
    def resources(cls) -> dict[str, Resource]:
        writes = (Write("create"), Write("update"))
        return {
            name: Resource(entity, path="", fields=_rows(entity.spec().fields), writes=writes)
            for name, entity in ENTITIES.items()
        }


def _rows(specs: Iterable[FieldSpec]) -> tuple[MappingRow, ...]:
    return tuple(Field(spec.name, spec.name, items=_rows(spec.item)) for spec in specs)


def write_schemas() -> dict[str, dict[str, Any]]:
    """Component name -> schema: `PurchaseOrderInput`, `PurchaseOrderPatch`, ..., `DryRun`, and what stands for a reference."""
    schemas: dict[str, dict[str, Any]] = {"DryRun": _DRY_RUN}
    for name, entity in ENTITIES.items():
        card = Card(_Everything, name)
        for operation, suffix in OPERATIONS.items():
            schema = write_schema(card, operation)
            schemas[REFERENCE] = schema["$defs"]["reference"]
            schemas[f"{entity.__name__}{suffix}"] = _published(schema, entity, operation)
    return schemas


def schema_reference(entity: type[Entity], operation: str) -> dict[str, Any]:
    """Where the body of the entity's create or update is described."""
    return {"$ref": f"#/components/schemas/{entity.__name__}{OPERATIONS[operation]}"}


def _published(schema: dict[str, Any], entity: type[Entity], operation: str) -> dict[str, Any]:
    described = entity.describes
    text = _TEXTS[operation].format(noun=described.title.lower(), slug=described.slug)
    found: dict[str, Any] = _tidied(schema)
    found["properties"]["custom"] = _CUSTOM
    return {"description": text, **found}


def _tidied(value: Any) -> Any:
    """Without what no system takes, and with references to the document's own components."""
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"$ref": "#/$defs/reference"}:
        return {"$ref": f"#/components/schemas/{REFERENCE}"}
    found = {name: _tidied(item) for name, item in value.items() if name not in _LEFT_OUT}
    if "properties" in found and isinstance(found["properties"], dict):
        found["properties"] = {
            name: item
            for name, item in found["properties"].items()
            if not (isinstance(item, dict) and item.get("readOnly"))
        }
    return found
