"""What can be done with a system or through a connection, told from its cards: nothing is said that is not so."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from connections.services.cards import OF_FIELDS, WRITES, Card, Denial, cards_of
from connections.services.opening import connector_of
from core.errors import NotFoundError
from integrations.entities import ENTITIES
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Action, Resource
from integrations.sdk.mapping import CUSTOM, MappingRow


def capabilities(connection_or_connector: Connection | type[Connector], entity: str | None = None) -> dict[str, Any]:
    """Entity name -> what can be done with it; with `entity` that one's alone. Entities the system lacks say why.

    Of a connector: what it declares. Of a connection: with its own mapping, what its account may, what was forbidden.
    Shape: {"entity", "title", "supported", "operations": {"read": {"supported", "reason", "rules"}, ..., "delete": {...,
    "delete_kind", "kinds"}}, "actions": {name: {"title", "help", "supported", "reason", "only_status", "to_status",
    "parameters"}}, "changes": {"detection": "since" | "full", "touched_by", "overlap_seconds"}, "read_one", "filterable",
    "fields": {name: {"kind", "readable", "required", "writable", "writable_in", "writable_in_status", "reasons",
    "items"}}, "note"}; a reason is {"code", "detail"} or None. Errors: NotFoundError for a name that is no entity.
    """
    given = connection_or_connector
    if entity is not None and entity not in ENTITIES:
        raise NotFoundError(f"There is no entity {entity!r}. Entities: {', '.join(ENTITIES)}.")
    connector = connector_of(given) if isinstance(given, Connection) else given
    names = [name for name in connector.resources() if entity in (None, name)]
    if isinstance(given, Connection):
        cards = cards_of(given, *names) if names else {}
    else:
        cards = {name: Card(connector, name) for name in names}
    if entity is not None:
        return _of(connector, ENTITIES[entity].spec(), cards.get(entity))
    return {name: _of(connector, kind.spec(), cards.get(name)) for name, kind in ENTITIES.items()}


def _of(connector: type[Connector], spec: EntitySpec, card: Card | None) -> dict[str, Any]:
    if card is None:
        return _absent(connector, spec)
    resource = card.resource
    return {
        "entity": spec.name,
        "title": spec.title,
        "supported": True,
        "operations": {name: _operation(card, name) for name in ("read", *WRITES)},
        "actions": {action.name: _action(card, action) for action in resource.actions},
        "changes": _changes(resource),
        "read_one": bool(resource.detail),
        "filterable": [field.name for field in spec.filterable],
        "fields": _fields(card, spec.fields, card.rows) | _custom(card),
        "note": resource.note,
    }


def _absent(connector: type[Connector], spec: EntitySpec) -> dict[str, Any]:
    lacks = Denial("platform", f"{connector.title} has no {spec.title.lower()} that can be read.")
    return {
        "entity": spec.name,
        "title": spec.title,
        "supported": False,
        "operations": {
            name: _told(lacks, []) | ({"delete_kind": None, "kinds": []} if name == "delete" else {})
            for name in ("read", *WRITES)
        },
        "actions": {},
        "changes": None,
        "read_one": False,
        "filterable": [],
        "fields": {},
        "note": "",
    }


def _told(denial: Denial | None, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"supported": denial is None, "reason": denial.as_json() if denial else None, "rules": rules}


def _operation(card: Card, name: str) -> dict[str, Any]:
    told = _told(card.operation(name), _rules(card.resource, name))
    if name == "delete":
        kinds = [
            {"kind": write.kind or "hard", "only_status": list(write.only_status), "note": write.note}
            for write in card.resource.writes
            if write.operation == "delete"
        ]
        told |= {"delete_kind": kinds[0]["kind"] if kinds else None, "kinds": kinds}
    return told


def _rules(resource: Resource, operation: str) -> list[dict[str, Any]]:
    return [
        {
            "unless_status": list(rule.unless_status),
            "only_status": list(rule.only_status),
            "fields": list(rule.fields),
            "reason": rule.reason,
        }
        for rule in resource.rules
        if rule.operation == operation
    ]


def _action(card: Card, action: Action) -> dict[str, Any]:
    denial = card.action(action.name)
    return {
        "title": action.title,
        "help": action.help,
        "supported": denial is None,
        "reason": denial.as_json() if denial else None,
        "only_status": list(action.only_status),
        "to_status": list(action.to_status),
        "parameters": [
            {
                "name": parameter.name,
                "kind": parameter.kind,
                "required": parameter.required,
                "help": parameter.help,
                "values": list(parameter.values),
                "target": parameter.target,
            }
            for parameter in action.parameters
        ],
    }


def _changes(resource: Resource) -> dict[str, Any]:
    """How changes are found: by their time, or only by comparing everything."""
    if resource.changes is None:
        return {"detection": "full", "touched_by": [], "overlap_seconds": None}
    return {
        "detection": "since",
        "touched_by": list(resource.changes.touched_by),
        "overlap_seconds": resource.changes.overlap.total_seconds(),
    }


def _fields(
    card: Card, specs: tuple[FieldSpec, ...], rows: tuple[MappingRow, ...], prefix: str = ""
) -> dict[str, dict[str, Any]]:
    by_target = {row.target: row for row in rows}
    return {spec.name: _field(card, spec, by_target.get(spec.name), prefix) for spec in specs}


def _field(card: Card, spec: FieldSpec, row: MappingRow | None, prefix: str) -> dict[str, Any]:
    path = prefix + spec.name
    told = {"kind": spec.kind, "readable": row is not None, **_writing(card, path)}
    if spec.item:
        told["items"] = _fields(card, spec.item, row.items if row else (), f"{path}.")
    return told


def _writing(card: Card, path: str) -> dict[str, Any]:
    """Where the field may be sent. `reasons` of operations that may be done, but without it."""
    possible = [operation for operation in OF_FIELDS if card.operation(operation) is None]
    denials = {operation: card.field(operation, path) for operation in possible}
    allowed = [operation for operation, denial in denials.items() if denial is None]
    return {
        "required": path in card.required(),
        "writable": bool(allowed),
        "writable_in": allowed,
        "writable_in_status": card.statuses("update", path)[0] if "update" in allowed else None,
        "reasons": {operation: denial.as_json() for operation, denial in denials.items() if denial is not None},
    }


def _custom(card: Card) -> dict[str, dict[str, Any]]:
    """What this connection maps beside the unified fields."""
    names = [row.target for row in card.rows if row.target.startswith(CUSTOM)]
    return {name: {"kind": "custom", "readable": True, **_writing(card, name)} for name in names}
