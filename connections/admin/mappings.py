"""How entities of a connection are mapped, as tables on its page."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from connections.models import Connection
from connections.screen_texts import entity_title
from connections.services import connector_of, definitions_of, effective_mapping
from core.json import dumps

__all__ = ["mapping_address", "mapping_table", "mapping_tables"]


def mapping_tables(connection: Connection) -> list[dict[str, Any]]:
    """One table an entity: the rows in force with their origin, and the versions they come from."""
    return [mapping_table(connection, entity) for entity in connector_of(connection).resources()]


def mapping_table(connection: Connection, entity: str) -> dict[str, Any]:
    """The rows in force of one entity; `definitions` and `own` are those of the default and of the override as stored."""
    effective = effective_mapping(connection, entity)
    default, own = definitions_of(effective.default), definitions_of(effective.override) if effective.override else {}
    rows = {**default, **own}
    return {
        "entity": entity,
        "title": entity_title(entity),
        "address": mapping_address(connection, entity),
        "default": effective.default,
        "override": effective.override if own else None,
        "definitions": default,
        "own": own,
        "rows": [_row(target, definition, overridden=target in own) for target, definition in rows.items()],
    }


def _row(target: str, definition: dict[str, Any], *, overridden: bool) -> dict[str, Any]:
    return {
        "target": target,
        "source": definition.get("source", ""),
        "transforms": [_transform(given) for given in definition.get("transforms") or []],
        "inside": ", ".join(item["target"] for item in definition.get("items") or []),
        "read_only": definition.get("read_only", False),
        "overridden": overridden,
        "removed": not definition,
    }


def _transform(given: dict[str, Any]) -> dict[str, str]:
    """Its name, and its parameters for who wants to know."""
    parameters = {name: value for name, value in given.items() if name != "name"}
    return {"name": given.get("name", ""), "parameters": dumps(parameters) if parameters else ""}


def mapping_address(connection: Connection, entity: str) -> str:
    """Of the page on which they are edited."""
    return reverse("admin:connections_connection_mapping", args=[connection.pk, entity])
