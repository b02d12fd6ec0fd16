"""Mappings: rows that say how a unified field is made from the upstream object, compiled once a run.

One list serves reading (`Compiled.map`) and, for fields that are not read-only, writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from core.errors import FieldError, ValidationFailedError
from core.ids import derived_bytes, namespace_of
from integrations.entities import ENTITIES
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk import transforms
from integrations.sdk.paths import compile_path
from integrations.sdk.transforms import MappingError

Mapper = Callable[[Any], Any]
CUSTOM = "custom."
HEAD_TARGETS = ("remote_created_at", "remote_updated_at")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_REFERENCE_CACHE = 50_000


@dataclass(frozen=True)
class MappingRow:
    """One row of a mapping: `target` (unified field, `custom.name`, or remote_created_at / remote_updated_at).

    `source`: path or expression; for a reference the path of the remote id, with `name_source` for its name.
    `transforms`: [{"name": ..., parameters}], applied in order. `items`: the rows of each object of a list.
    """

    target: str
    source: str = ""
    transforms: tuple[Mapping[str, Any], ...] = ()
    name_source: str | None = None
    items: tuple[MappingRow, ...] = ()
    read_only: bool = False

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
        unknown = set(data) - {"target", "source", "transforms", "name_source", "items", "read_only"}
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
        )


def digest_of(rows: Iterable[MappingRow], *, salt: str) -> bytes:
    """32 bytes that differ whenever the rows or the salt (connector and entity schema version) differ."""
    body = orjson.dumps([row.as_json() for row in rows], option=orjson.OPT_SORT_KEYS)
    return blake2b(salt.encode() + b"\0" + body, digest_size=32).digest()


@dataclass
class Compiled:
    """A mapping made ready for one connection. `map` takes the decoded upstream object."""

    spec: EntitySpec
    fields: list[tuple[str, Mapper]]
    custom: list[tuple[str, Mapper]]
    created: Mapper
    updated: Mapper
    filters: list[tuple[str, bool]] = field(default_factory=list)  # name, is it a reference

    def map(self, raw: Any) -> dict[str, Any]:
        """The unified fields and `custom`, in the entity's order. Errors: MappingError naming the field."""
        unified = {}
        for name, get in self.fields:
            try:
                unified[name] = get(raw)
            except MappingError as error:
                error.target = error.target and f"{name}.{error.target}" or name
                raise
            except (AttributeError, TypeError, ValueError, KeyError, ValidationFailedError) as error:
                raise MappingError(f"{type(error).__name__}: {error}", name) from error
        unified["custom"] = {name: get(raw) for name, get in self.custom} if self.custom else {}
        return unified

    def filter_values(self, unified: Mapping[str, Any]) -> dict[str, Any]:
        """What the record can be filtered by: the values of the declared filterable fields that are there."""
        found = {}
        for name, is_reference in self.filters:
            value = unified[name]
            if value is not None:
                found[name] = value["id"] if is_reference else value
        return found


def compile_mapping(spec: EntitySpec, rows: Iterable[MappingRow], *, connection_id: UUID) -> Compiled:
    """Make a mapping ready. Errors: ValidationFailedError naming the row that cannot be used."""
    maker = _Maker(connection_id)
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
        fields=[(f.name, maker.field(f, by_target.get(f.name))) for f in spec.fields],
        custom=[(t[len(CUSTOM) :], maker.plain(row)) for t, row in by_target.items() if t.startswith(CUSTOM)],
        created=maker.moment(by_target.get("remote_created_at")),
        updated=maker.moment(by_target.get("remote_updated_at")),
        filters=[(f.name, f.kind == "reference") for f in spec.filterable],
    )


class _Maker:
    """Builds one function per field."""

    def __init__(self, connection_id: UUID) -> None:
        self.connection_id = connection_id

    def field(self, spec: FieldSpec, row: MappingRow | None) -> Mapper:
        if row is None:
            return (lambda _raw: []) if spec.kind == "list" else (lambda _raw: None)
        if spec.kind == "reference":
            return self.reference(spec, row)
        if spec.kind == "list":
            return self.list_of(spec, row)
        if spec.kind == "object":
            return self.object_of(spec, row)
        return _then(self.value(row), _COERCE[spec.kind](spec))

    def plain(self, row: MappingRow) -> Mapper:
        return _then(self.value(row), _json_value)

    def moment(self, row: MappingRow | None) -> Mapper:
        if row is None:
            return lambda _raw: None
        return _then(self.value(row), _datetime(None))

    def value(self, row: MappingRow) -> Mapper:
        """Source path, then the transforms in order."""
        get = compile_path(row.source) if row.source else (lambda _raw: None)
        for declared in row.transforms:
            name, transform = transforms.make(declared)
            get = _always(get, transform) if name in transforms.ACCEPT_NONE else _then(get, transform)
        return get

    def reference(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        target = ENTITIES[spec.target or ""].spec()
        namespace, prefix = namespace_of(self.connection_id, target.name), target.id_prefix + "_"
        get_id = self.value(row)
        get_name = compile_path(row.name_source) if row.name_source else None
        cache: dict[str, str] = {}

        def reference(raw: Any) -> dict[str, Any] | None:
            found = get_id(raw)
            name = get_name(raw) if get_name else None
            if found is None or found == "":
                return {"id": None, "remote_id": None, "name": str(name)} if name else None
            remote_id = found if type(found) is str else str(found)
            shown = cache.get(remote_id)
            if shown is None:
                if len(cache) >= _REFERENCE_CACHE:
                    cache.clear()
                shown = cache[remote_id] = prefix + derived_bytes(namespace, remote_id).hex()
            return {"id": shown, "remote_id": remote_id, "name": None if name is None else str(name)}

        return reference

    def list_of(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        get, build = self.value(row), self._object(spec, row)

        def items(raw: Any) -> list[dict[str, Any]]:
            found = get(raw)
            if found is None:
                return []
            if not isinstance(found, list):
                raise MappingError(f"expected a list at `{row.source}`, got {type(found).__name__}")
            return [build(item) for item in found]

        return items

    def object_of(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        return _then(self.value(row), self._object(spec, row))

    def _object(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        by_target = {item.target: item for item in row.items}
        unknown = set(by_target) - {f.name for f in spec.item}
        if unknown:
            raise ValidationFailedError(
                f"{spec.name} has no field {', '.join(sorted(unknown))}.",
                errors=(FieldError("/rows", "UNKNOWN_TARGET", spec.name),),
            )
        fields = [(f.name, self.field(f, by_target.get(f.name))) for f in spec.item]
        return lambda item: {name: get(item) for name, get in fields}


def _then(get: Mapper, convert: Mapper) -> Mapper:
    def then(raw: Any) -> Any:
        value = get(raw)
        return None if value is None else convert(value)

    return then


def _always(get: Mapper, convert: Mapper) -> Mapper:
    return lambda raw: convert(get(raw))


def _string(_spec: FieldSpec) -> Mapper:
    def text(value: Any) -> str | None:
        if type(value) is str:
            return value or None
        if isinstance(value, (dict, list)):
            raise MappingError(f"expected a text, got {type(value).__name__}")
        return _bare(value)

    return text


def _bare(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(_spec: FieldSpec) -> Mapper:
    def number(value: Any) -> str:
        text = value if type(value) is str else repr(value) if isinstance(value, float) else str(value)
        if _NUMBER.fullmatch(text):
            return text
        try:
            parsed = Decimal(text.strip())
        except InvalidOperation as error:
            raise MappingError(f"{value!r} is not a number") from error
        if not parsed.is_finite() or parsed.adjusted() > 60 or isinstance(value, bool):
            raise MappingError(f"{value!r} is not a number")
        return format(parsed, "f")

    return number


def _integer(_spec: FieldSpec) -> Mapper:
    def integer(value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise MappingError(f"{value!r} is not a whole number") from error

    return integer


def _boolean(_spec: FieldSpec) -> Mapper:
    table = {"true": True, "1": True, "yes": True, "y": True, "false": False, "0": False, "no": False, "n": False}

    def boolean(value: Any) -> bool:
        found = value if isinstance(value, bool) else table.get(str(value).lower())
        if found is None:
            raise MappingError(f"{value!r} is neither true nor false")
        return found

    return boolean


def _enum(spec: FieldSpec) -> Mapper:
    allowed = frozenset(spec.values)
    return lambda value: value if value in allowed else "unknown"


def _date(_spec: FieldSpec) -> Mapper:
    return transforms.to_date()


def _datetime(_spec: FieldSpec | None) -> Mapper:
    convert = transforms.to_datetime()

    def moment(value: Any) -> str:
        # The common form needs no work: 2026-03-01T08:00:00Z (checked by the parser all the same).
        return convert(value) if type(value) is not str or len(value) != 20 or value[-1] != "Z" else _checked(value)

    def _checked(value: str) -> str:
        convert(value)
        return value

    return moment


def _json_value(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


_COERCE: dict[str, Callable[[FieldSpec], Mapper]] = {
    "string": _string,
    "text": _string,
    "integer": _integer,
    "boolean": _boolean,
    "decimal": _number,
    "amount": _number,
    "quantity": _number,
    "date": _date,
    "datetime": _datetime,
    "enum": _enum,
}
