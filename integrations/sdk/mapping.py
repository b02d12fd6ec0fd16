"""Mappings: rows that say how a unified field is made from the upstream object, compiled once a run.

One list serves reading (`Compiled.map`) and, for fields that are not read-only, writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
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
from integrations.sdk.paths import compile_path, plain_key
from integrations.sdk.transforms import MappingError

Mapper = Callable[[Any], Any]
CUSTOM = "custom."
HEAD_TARGETS = ("remote_created_at", "remote_updated_at")
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


class Shape:
    """Builds one object: every field of the entity in order, those the mapping does not fill empty."""

    def __init__(self, fields: Iterable[FieldSpec], mappers: Mapping[str, Mapper]) -> None:
        specs = list(fields)
        self._empty = {f.name: None for f in specs}
        self._lists = [f.name for f in specs if f.kind == "list" and f.name not in mappers]
        self._mappers = [(f.name, mappers[f.name]) for f in specs if f.name in mappers]

    def build(self, raw: Any) -> dict[str, Any]:
        """Errors: MappingError naming the field, whatever went wrong with it."""
        built: dict[str, Any] = self._empty.copy()
        name = ""
        try:
            for name, get in self._mappers:
                built[name] = get(raw)
        except MappingError as error:
            error.target = f"{name}.{error.target}" if error.target else name
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValidationFailedError) as error:
            raise MappingError(f"{type(error).__name__}: {error}", name) from error
        for name in self._lists:
            built[name] = []
        return built


@dataclass
class Compiled:
    """A mapping made ready for one connection. `map` takes the decoded upstream object."""

    spec: EntitySpec
    shape: Shape
    custom: list[tuple[str, Mapper]]
    created: Mapper
    updated: Mapper
    filters: list[tuple[str, bool]] = field(default_factory=list)  # name, is it a reference

    def map(self, raw: Any) -> dict[str, Any]:
        """The unified fields and `custom`, in the entity's order. Errors: MappingError naming the field."""
        unified = self.shape.build(raw)
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
        shape=maker.shape(spec.fields, by_target),
        custom=[(t[len(CUSTOM) :], maker.plain(row)) for t, row in by_target.items() if t.startswith(CUSTOM)],
        created=maker.moment(by_target.get("remote_created_at")),
        updated=maker.moment(by_target.get("remote_updated_at")),
        filters=[(f.name, f.kind == "reference") for f in spec.filterable],
    )


class _Maker:
    """Builds one function per field."""

    def __init__(self, connection_id: UUID) -> None:
        self.connection_id = connection_id

    def shape(self, fields: Iterable[FieldSpec], rows: Mapping[str, MappingRow]) -> Shape:
        specs = list(fields)
        return Shape(specs, {f.name: self.field(f, rows[f.name]) for f in specs if f.name in rows})

    def field(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        if spec.kind == "reference":
            return self.reference(spec, row)
        if spec.kind == "list":
            return self.list_of(spec, row)
        if spec.kind == "object":
            return _then(self.value(row), self._object(spec, row))
        if spec.kind in ("string", "text") and not row.transforms and row.source:
            return _text_at(compile_path(row.source), plain_key(row.source))
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
            if name is not None and type(name) is not str:
                name = str(name)
            if found is None or found == "":
                return {"id": None, "remote_id": None, "name": name} if name else None
            remote_id = found if type(found) is str else str(found)
            shown = cache.get(remote_id)
            if shown is None:
                if len(cache) >= _REFERENCE_CACHE:
                    cache.clear()
                shown = cache[remote_id] = prefix + derived_bytes(namespace, remote_id).hex()
            return {"id": shown, "remote_id": remote_id, "name": name}

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

    def _object(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        rows = {item.target: item for item in row.items}
        unknown = set(rows) - {f.name for f in spec.item}
        if unknown:
            raise ValidationFailedError(
                f"{spec.name} has no field {', '.join(sorted(unknown))}.",
                errors=(FieldError("/rows", "UNKNOWN_TARGET", spec.name),),
            )
        return self.shape(spec.item, rows).build


def _text_at(get: Mapper, key: str | None) -> Mapper:
    """The commonest field, in one call: a text that is passed on as it is."""
    if key is None:
        return _then_text(get)

    def text(raw: Any) -> str | None:
        value = raw.get(key)
        if type(value) is str:
            return value or None
        return None if value is None else _text(value)

    return text


def _then_text(get: Mapper) -> Mapper:
    def text(raw: Any) -> str | None:
        value = get(raw)
        if type(value) is str:
            return value or None
        return None if value is None else _text(value)

    return text


def _then(get: Mapper, convert: Mapper) -> Mapper:
    def then(raw: Any) -> Any:
        value = get(raw)
        return None if value is None else convert(value)

    return then


def _always(get: Mapper, convert: Mapper) -> Mapper:
    return lambda raw: convert(get(raw))


def _string(_spec: FieldSpec) -> Mapper:
    return _text


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value or None
    if isinstance(value, (dict, list)):
        raise MappingError(f"expected a text, got {type(value).__name__}")
    return _bare(value)


def _bare(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(_spec: FieldSpec) -> Mapper:
    return _number_text


_is_number = re.compile(r"-?\d+(\.\d+)?", re.ASCII).fullmatch


def _number_text(value: Any) -> str:
    """A decimal text without exponent. What is one already stays as it was written."""
    kind = type(value)
    if kind is str and _is_number(value):
        return value  # type: ignore[no-any-return]
    if kind is int:
        return str(value)
    try:
        parsed = Decimal(repr(value) if kind is float else str(value).strip())
    except InvalidOperation as error:
        raise MappingError(f"{value!r} is not a number") from error
    if not parsed.is_finite() or parsed.adjusted() > 60:
        raise MappingError(f"{value!r} is not a number")
    return format(parsed, "f")


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
    convert = transforms.to_date()

    def day(value: Any) -> Any:
        if type(value) is str and len(value) == 10:
            date.fromisoformat(value)
            return value
        return convert(value)

    return day


def _datetime(_spec: FieldSpec | None) -> Mapper:
    convert = transforms.to_datetime()

    def moment(value: Any) -> Any:
        if type(value) is str and len(value) == 20 and value[19] == "Z":
            datetime.fromisoformat(value)  # the common form: checked, and kept as it is
            return value
        return convert(value)

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
