"""What can be done with a system, computed from what its connector declares: nothing is said that is not declared."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from connections.services.opening import connector_of
from core.errors import NotFoundError
from integrations.entities import ENTITIES
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource, Write
from integrations.sdk.mapping import MappingRow

WRITES = ("create", "update", "delete")


def capabilities(connection_or_connector: Connection | type[Connector], entity: str | None = None) -> dict[str, Any]:
    """Entity name -> what can be done with it; with `entity` that one's alone. Entities the system lacks say why.

    Shape: {"entity", "title", "supported", "operations": {"read": {"supported", "reason", "rules"}, ...,
    "delete": {..., "delete_kind"}}, "changes": {"detection": "since" | "full", "touched_by", "overlap_seconds"},
    "read_one", "filterable", "fields": {name: {"kind", "readable", "writable", "writable_in", "items"}}, "note"}.
    Errors: NotFoundError for a name that is no entity.
    """
    given = connection_or_connector
    connector = connector_of(given) if isinstance(given, Connection) else given
    if entity is None:
        return {name: _of(connector, kind.spec()) for name, kind in ENTITIES.items()}
    if entity not in ENTITIES:
        raise NotFoundError(f"There is no entity {entity!r}. Entities: {', '.join(ENTITIES)}.")
    return _of(connector, ENTITIES[entity].spec())


def _of(connector: type[Connector], spec: EntitySpec) -> dict[str, Any]:
    resource = connector.resources().get(spec.name)
    reason = None if resource else f"{connector.title} has no {spec.title.lower()} that can be read."
    return {
        "entity": spec.name,
        "title": spec.title,
        "supported": resource is not None,
        "operations": {
            "read": {"supported": resource is not None, "reason": reason, "rules": _rules(resource, "read")},
            **{name: _write(connector, spec, resource, name) for name in WRITES},
        },
        "changes": _changes(resource),
        "read_one": bool(resource and resource.detail),
        "filterable": [field.name for field in spec.filterable] if resource else [],
        "fields": _fields(spec.fields, resource.fields, resource.writes) if resource else {},
        "note": resource.note if resource else "",
    }


def _write(connector: type[Connector], spec: EntitySpec, resource: Resource | None, name: str) -> dict[str, Any]:
    declared = next((write for write in resource.writes if write.operation == name), None) if resource else None
    title = spec.title.lower()
    told = {
        "supported": declared is not None,
        "reason": None if declared else f"The connector of {connector.title} does not {name} a {title}.",
        "rules": _rules(resource, name) if declared else [],
    }
    if name == "delete":
        told["delete_kind"] = (declared.kind or "hard") if declared else None
    return told


def _rules(resource: Resource | None, operation: str) -> list[dict[str, Any]]:
    return [
        {
            "unless_status": list(rule.unless_status),
            "only_status": list(rule.only_status),
            "fields": list(rule.fields),
            "reason": rule.reason,
        }
        for rule in (resource.rules if resource else ())
        if rule.operation == operation
    ]


def _changes(resource: Resource | None) -> dict[str, Any] | None:
    """How changes are found: by their time, or only by comparing everything."""
    if resource is None:
        return None
    if resource.changes is None:
        return {"detection": "full", "touched_by": [], "overlap_seconds": None}
    return {
        "detection": "since",
        "touched_by": list(resource.changes.touched_by),
        "overlap_seconds": resource.changes.overlap.total_seconds(),
    }


def _fields(
    specs: tuple[FieldSpec, ...], rows: tuple[MappingRow, ...], writes: tuple[Write, ...]
) -> dict[str, dict[str, Any]]:
    by_target = {row.target: row for row in rows}
    return {spec.name: _field(spec, by_target.get(spec.name), writes) for spec in specs}


def _field(spec: FieldSpec, row: MappingRow | None, writes: tuple[Write, ...]) -> dict[str, Any]:
    may_be_written = row is not None and not row.read_only and spec.writable
    names = [
        write.operation
        for write in writes
        if may_be_written and write.operation != "delete" and (not write.fields or spec.name in write.fields)
    ]
    told: dict[str, Any] = {
        "kind": spec.kind,
        "readable": row is not None,
        "writable": bool(names),
        "writable_in": names,
    }
    if spec.item:
        # What is inside is written with the whole, so the names of the whole decide.
        inside = tuple(Write(write.operation) for write in writes if write.operation in names)
        told["items"] = _fields(spec.item, row.items if row else (), inside)
    return told
