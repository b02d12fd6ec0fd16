"""The unified form an object would have after a write, as far as it can be told without asking its system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from connections.services import Card
from core import ids
from core.ids import derived_id, namespace_of
from core.json import pointer
from integrations.entities import ENTITIES
from integrations.entities.spec import FieldSpec
from integrations.sdk.coercions import COERCE, moment_of
from syncs.choices import OperationKind
from syncs.models import Operation, Record
from syncs.packing import body_of

At = tuple[str | int, ...]


@dataclass
class Imagined:
    """`unified`: the fields of the entity and `custom`. `not_resolved`: pointers of references that are not copied."""

    unified: dict[str, Any]
    not_resolved: list[str] = field(default_factory=list)


def imagined_after(operation: Operation, card: Card, before: Mapping[str, Any] | None) -> Imagined:
    """The wish of `operation` merged into the unified form `before`, None where there is no object yet.

    What only the system decides (numbers, sums, ids of new lines) stays as it was. Of an action its status is told.
    """
    imagining = _Imagining(operation.connection_id)
    found = dict(before or {spec.name: spec.empty for spec in card.spec.fields})
    found.setdefault("custom", {})
    if operation.kind in (OperationKind.CREATE, OperationKind.UPDATE):
        found = imagining.object(card.spec.by_name, found, operation.values, ())
    elif operation.kind == OperationKind.ACTION:
        found |= _status_after(operation, card)
    return Imagined(found, imagining.not_resolved)


def _status_after(operation: Operation, card: Card) -> dict[str, Any]:
    """Both statuses where the action leads to one alone."""
    action = card.resource.action(operation.action)
    if action is None or len(action.to_status) != 1:
        return {}
    remote = action.to_status[0]
    row = card.by_target.get("status")
    steps = row.transforms if row is not None else ()
    unified = next((step["map"].get(remote) for step in steps if step["name"] == "values"), None)
    return {"remote_status": remote} | ({"status": unified} if unified is not None else {})


class _Imagining:
    """Merges what is wished, each value in the form its unified field has."""

    def __init__(self, connection_id: UUID) -> None:
        self.connection_id = connection_id
        self.not_resolved: list[str] = []

    def object(
        self, specs: Mapping[str, FieldSpec], there: Mapping[str, Any], wished: Mapping[str, Any], at: At
    ) -> dict[str, Any]:
        """As JSON Merge Patch does, but for lists, whose lines are told by their id."""
        merged = dict(there)
        for name, value in wished.items():
            here = (*at, name)
            if name == "custom" and isinstance(value, Mapping):
                merged[name] = {**(there.get(name) or {}), **value}
            elif name in specs:
                merged[name] = self._value(specs[name], there.get(name), value, here)
        return merged

    def _value(self, spec: FieldSpec, there: Any, wished: Any, at: At) -> Any:
        if wished is None:
            return spec.empty
        inner = {found.name: found for found in spec.item}
        if spec.kind == "list":
            return self._lines(inner, there or [], wished, at)
        if spec.kind == "object":
            empty = {found.name: found.empty for found in spec.item}
            return self.object(inner, there or empty, wished, at)
        if spec.kind == "reference":
            return self._reference(spec, there, str(wished), at)
        if spec.kind == "datetime":
            return moment_of("UTC")(wished)
        return COERCE[spec.kind](spec)(wished)

    def _lines(self, specs: Mapping[str, FieldSpec], there: list[Any], wished: Iterable[Any], at: At) -> list[Any]:
        known = {line.get("id"): dict(line) for line in there if line.get("id") is not None}
        kept = [dict(line) for line in there if line.get("id") is None]
        fresh = []
        for place, line in enumerate(wished):
            rest = {name: value for name, value in line.items() if name not in ("id", "_delete")}
            line_id = line.get("id")
            if line.get("_delete"):
                known.pop(line_id, None)
            elif line_id is not None:
                known[line_id] = self.object(specs, known.get(line_id, {"id": line_id}), rest, (*at, place))
            else:
                fresh.append(self.object(specs, {"id": None} if "id" in specs else {}, rest, (*at, place)))
        return [*known.values(), *kept, *fresh]

    def _reference(self, spec: FieldSpec, there: Any, remote_id: str, at: At) -> dict[str, Any]:
        """Its name stands in the record it leads to, if that is copied."""
        if isinstance(there, Mapping) and there.get("remote_id") == remote_id:
            return dict(there)
        target = ENTITIES[spec.target or ""].describes
        pk = derived_id(namespace_of(self.connection_id, target.name), remote_id)
        record = Record.objects.filter(pk=pk, connection_id=self.connection_id, deleted_at=None).first()
        if record is None:
            self.not_resolved.append(pointer(*at))
        return {"id": ids.show(target.id_prefix, pk), "remote_id": remote_id, "name": _name_of(record)}


def _name_of(record: Record | None) -> str | None:
    if record is None:
        return None
    found: dict[str, Any] = orjson.loads(body_of(record))
    return found.get("name") or found.get("title") or found.get("number")
