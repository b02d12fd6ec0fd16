"""How well the unified fields of the copy are filled, over a sample of its newest records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connections.models import Connection
from connections.services import connector_of, effective_mapping
from core.errors import NotSupportedError
from integrations.entities.spec import UNKNOWN, EntitySpec, FieldSpec
from integrations.sdk.mapping import CUSTOM, MappingRow
from syncs.models import Record
from syncs.packing import unpack
from syncs.services.stored_objects import SAMPLE


@dataclass
class FieldCoverage:
    """One field. Of what is inside of a list, `seen` counts the list's elements, else the records that have its object.

    `unknown`: how often a choice is `unknown`, for want of a counterpart of the source's value.
    """

    name: str
    kind: str
    mapped: bool
    seen: int = 0
    filled: int = 0
    unknown: int = 0

    @property
    def percent(self) -> float | None:
        """None where there was nothing to look at."""
        return round(100 * self.filled / self.seen, 1) if self.seen else None


@dataclass(frozen=True)
class EntityCoverage:
    """`sampled` records; `complete` when these are all there are."""

    entity: str
    sampled: int
    complete: bool
    fields: list[FieldCoverage] = field(default_factory=list)


def coverage(connection: Connection, entities: Iterable[str] | None = None) -> list[EntityCoverage]:
    """Of each entity that the system has and the customer shares, or of those named.

    Errors: NotSupportedError for a named one that the system lacks or that is not shared.
    """
    kind = connector_of(connection)
    if entities is None:
        return [entity_coverage(connection, entity) for entity in kind.resources() if connection.shares(entity)]
    return [entity_coverage(connection, entity) for entity in entities]


def entity_coverage(connection: Connection, entity: str) -> EntityCoverage:
    """The newest SAMPLE records of one entity."""
    spec = connector_of(connection).resource(entity).spec
    if not connection.shares(entity):
        raise NotSupportedError(
            f"The customer does not share {spec.plural.replace('_', ' ')} on this connection.", code="ENTITY_NOT_SHARED"
        )
    bodies = _bodies(connection, entity)
    counted = _Counter(spec, effective_mapping(connection, entity).rows)
    for body in bodies:
        counted.add(body)
    return EntityCoverage(entity, len(bodies), len(bodies) < SAMPLE, list(counted.fields.values()))


def _bodies(connection: Connection, entity: str) -> list[Any]:
    rows = Record.objects.live().filter(connection_id=connection.pk, entity=entity)
    packed = rows.order_by("-changed_at", "-id").values_list("body", flat=True)[:SAMPLE]
    return [orjson.loads(text) for text in unpack((bytes(row) for row in packed), connection_id=connection.pk)]


class _Counter:
    """Counts record by record. `fields` in the entity's order, each list or object before what is inside of it."""

    def __init__(self, spec: EntitySpec, rows: Sequence[MappingRow]) -> None:
        self.spec, self.fields = spec, dict[str, FieldCoverage]()
        self.custom = {row.target.removeprefix(CUSTOM): row for row in rows if row.target.startswith(CUSTOM)}
        self._name(spec.fields, {row.target: row for row in rows}, "")
        for name, row in self.custom.items():
            self.fields[CUSTOM + name] = FieldCoverage(CUSTOM + name, row.type or "custom", mapped=True)

    def _name(self, specs: Iterable[FieldSpec], rows: Mapping[str, MappingRow], above: str) -> None:
        for spec in specs:
            row = rows.get(spec.name)
            name = above + spec.name
            self.fields[name] = FieldCoverage(name, spec.kind, mapped=row is not None)
            self._name(spec.item, {item.target: item for item in row.items} if row else {}, f"{name}.")

    def add(self, body: Mapping[str, Any]) -> None:
        self._add(self.spec.fields, body, "")
        custom = body.get("custom") or {}
        for name in self.custom:
            self._count(CUSTOM + name, custom.get(name))

    def _add(self, specs: Iterable[FieldSpec], values: Mapping[str, Any], above: str) -> None:
        for spec in specs:
            name, value = above + spec.name, values.get(spec.name)
            self._count(name, value)
            if spec.kind == "object" and isinstance(value, Mapping):
                self._add(spec.item, value, f"{name}.")
            elif spec.kind == "list":
                for item in value or ():
                    self._add(spec.item, item, f"{name}.")

    def _count(self, name: str, value: Any) -> None:
        found = self.fields[name]
        found.seen += 1
        if value == UNKNOWN and found.kind == "enum":
            found.unknown += 1
        elif value not in (None, "", [], {}):
            found.filled += 1
