"""Mappings: rows that say how a unified field is made from the upstream object, compiled once a run.

One list serves reading (`Compiled.map`) and, for fields that are not read-only, writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from core.errors import FieldError, ValidationFailedError
from integrations.entities.spec import EntitySpec
from integrations.sdk.coercions import Mapper
from integrations.sdk.shapes import Maker, Shape

CUSTOM = "custom."
HEAD_TARGETS = ("remote_created_at", "remote_updated_at")
ROW_KEYS = frozenset(("target", "source", "transforms", "name_source", "items", "read_only", "write", "type", "title"))


@dataclass(frozen=True)
class MappingRow:
    """One row of a mapping: `target` (unified field, `custom.name`, or remote_created_at / remote_updated_at).

    `source`: path or expression; for a reference the path of the remote id, with `name_source` for its name.
    `transforms`: [{"name": ..., parameters}], applied in order. `items`: the rows of each object of a list.
    `write`: the plain path the field is written to, where it is not the one it is read from.
    Of a custom field: `type` (one of CUSTOM_TYPES; None keeps values as they are) and the `title` people see.
    """

    target: str
    source: str = ""
    transforms: tuple[Mapping[str, Any], ...] = ()
    name_source: str | None = None
    items: tuple[MappingRow, ...] = ()
    read_only: bool = False
    write: str | None = None
    type: str | None = None
    title: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without what is empty."""
        data = {key: value for key, value in asdict(self).items() if value not in (None, (), [], False)}
        data["source"] = self.source
        if self.items:
            data["items"] = [item.as_json() for item in self.items]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MappingRow:
        """Read a stored row; an unknown key or a wrong type raises ValidationFailedError."""
        unknown = set(data) - ROW_KEYS
        if unknown or not isinstance(data.get("target"), str) or not isinstance(data.get("source", ""), str):
            raise ValidationFailedError(
                f"A mapping row needs `target` and `source` (texts); not known: {sorted(unknown)}.",
                errors=(FieldError("/rows", "INVALID_ROW", "see docs/guides/mapping.md"),),
            )
        return cls(
            target=data["target"],
            source=data.get("source", ""),
            transforms=tuple(data.get("transforms", ())),
            name_source=data.get("name_source"),
            items=tuple(cls.from_json(item) for item in data.get("items", ())),
            read_only=bool(data.get("read_only", False)),
            write=data.get("write"),
            type=data.get("type"),
            title=data.get("title"),
        )


def digest_of(rows: Iterable[MappingRow], *, salt: str) -> bytes:
    """32 bytes that differ whenever the rows or the salt (connector, entity schema version, time zone) differ.

    Titles are for people and decide nothing.
    """
    plain = [{key: value for key, value in row.as_json().items() if key != "title"} for row in rows]
    body = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return blake2b(salt.encode() + b"\0" + body, digest_size=32).digest()


@dataclass
class Compiled:
    """A mapping made ready for one connection. `map` takes the decoded upstream object."""

    spec: EntitySpec
    shape: Shape
    custom: Shape
    created: Mapper
    updated: Mapper
    filters: list[tuple[str, bool]] = field(default_factory=list)  # name, is it a reference

    def map(self, raw: Any) -> dict[str, Any]:
        """The unified fields and `custom`, in the entity's order. Errors: MappingError naming the field."""
        unified = self.shape.build(raw)
        unified["custom"] = self.custom.build(raw)
        return unified

    def filter_values(self, unified: Mapping[str, Any]) -> dict[str, Any]:
        """What the record can be filtered by: the values of the declared filterable fields that are there."""
        found = {}
        for name, is_reference in self.filters:
            value = unified[name]
            if value is not None:
                found[name] = value["id"] if is_reference else value
        return found


def compile_mapping(
    spec: EntitySpec, rows: Iterable[MappingRow], *, connection_id: UUID, zone: str = "UTC"
) -> Compiled:
    """Make a mapping ready. `zone` (IANA) is that of times written without one, where a row names none of its own.

    Errors: ValidationFailedError naming the row that cannot be used.
    """
    maker = Maker(connection_id, zone)
    by_target = {row.target: row for row in rows}
    known = {f.name for f in spec.fields} | set(HEAD_TARGETS)
    for target in by_target:
        if target not in known and not target.startswith(CUSTOM):
            raise ValidationFailedError(
                f"{spec.title} has no field {target}; use one of {', '.join(sorted(known))}, or custom.<name>.",
                errors=(FieldError("/rows", "UNKNOWN_TARGET", target),),
            )
    return Compiled(
        spec=spec,
        shape=maker.shape(spec.fields, by_target, sparse=False),
        custom=maker.custom({t[len(CUSTOM) :]: row for t, row in by_target.items() if t.startswith(CUSTOM)}),
        created=maker.moment(by_target.get("remote_created_at")),
        updated=maker.moment(by_target.get("remote_updated_at")),
        filters=[(f.name, f.kind == "reference") for f in spec.filterable],
    )
