"""What may be done with one entity of one connection, and why not: one answer for the API, the admin and every write.

A card is computed from what the connector declares and the mapping in force, narrowed by what the account was found to be
allowed and by what an administrator forbade. Nothing widens it.
"""

from __future__ import annotations

from typing import Any

from django_scopes import scope

from connections.choices import Access
from connections.models import CapabilityOverride, Connection
from connections.models import Mapping as StoredMapping
from connections.services.card import Card
from connections.services.denials import OF_FIELDS, WRITES, Denial, Forbidden
from connections.services.opening import connector_of
from integrations.sdk.declarations import Resource
from integrations.sdk.mapping import MappingRow

__all__ = ["OF_FIELDS", "WRITES", "Card", "Denial", "Forbidden", "card_of", "cards_of"]


def card_of(connection: Connection, entity: str) -> Card:
    """The card of one entity. Errors: NotSupportedError when the system lacks it."""
    connector_of(connection).resource(entity)
    return cards_of(connection, entity)[entity]


def cards_of(connection: Connection, *entities: str) -> dict[str, Card]:
    """Entity -> its card, of all entities of the system or of those named. Two statements, however many there are."""
    connector = connector_of(connection)
    names = list(entities) or list(connector.resources())
    own, forbidden = _own_rows(connection, names), _forbidden(connection, names)
    probed = connection.probed or {}
    return {
        name: Card(
            connector,
            name,
            rows=_in_force(connector.resource(name), own.get(name, {})),
            zone=connection.time_zone,
            permitted=probed.get(name),
            shared=_shared(connection, name),
            forbidden=forbidden.get(name, ()),
        )
        for name in names
    }


def _shared(connection: Connection, entity: str) -> Access | None:
    if connection.shares(entity, write=True):
        return Access.READ_WRITE
    return Access.READ if connection.shares(entity) else None


def _own_rows(connection: Connection, entities: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Entity -> target -> definition, of the overriding mappings in force."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with scope(workspace=connection.workspace_id):
        rows = StoredMapping.objects.filter(connection_id=connection.pk, is_current=True, entity__in=entities)
        rows = rows.order_by("entity", "rows__position")
        for entity, target, definition in rows.values_list("entity", "rows__target", "rows__definition"):
            if target is not None:
                found.setdefault(entity, {})[target] = definition
    return found


def _in_force(resource: Resource, own: dict[str, dict[str, Any]]) -> tuple[MappingRow, ...]:
    """The connector's rows, replaced by the connection's own: as `effective_mapping` says, without its versions."""
    rows = {row.target: row for row in resource.fields}
    for target, definition in own.items():
        if definition:
            rows[target] = MappingRow.from_json({"target": target, **definition})
        else:
            rows.pop(target, None)
    return tuple(rows.values())


def _forbidden(connection: Connection, entities: list[str]) -> dict[str, list[Forbidden]]:
    found: dict[str, list[Forbidden]] = {}
    with scope(workspace=connection.workspace_id):
        rows = CapabilityOverride.objects.filter(connection_id=connection.pk, entity__in=entities)
        for row in rows.order_by("field", "pk"):
            found.setdefault(row.entity, []).append(Forbidden(row.operation, row.field, row.reason))
    return found
