"""Mappings backwards: unified values to what the system stores, for the fields where that can be said.

A field can be written when its entity allows it, the mapping has a row for it that is not read-only, the row names a plain
path to write to, and each of its transforms has an inverse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.mapping import CUSTOM, MappingRow
from integrations.sdk.paths import path_keys
from integrations.sdk.shapes import custom_spec

Inverse = Callable[[Any], Any]
Encode = Callable[[str, Any], Any]
AS_IT_IS = frozenset({"default", "empty_is_null", "strip_thousands", "plain_text", "date", "datetime"})


@dataclass
class CannotSayError(Exception):
    """One value that has no counterpart there."""

    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class FieldUnmap:
    """How one field is written: keys of the path it goes to, and what makes its value. `items`: of each line or part."""

    name: str
    path: tuple[str, ...]
    convert: Inverse
    items: Unmapping | None = None
    is_list: bool = False


class Unmapping:
    """Writes unified values into upstream bodies. `why_not` says of the other fields why they cannot be written."""

    def __init__(self, fields: Mapping[str, FieldUnmap], why_not: Mapping[str, tuple[str, str]]) -> None:
        self.fields = dict(fields)
        self.why_not = dict(why_not)

    def body(self, values: Mapping[str, Any], at: tuple[str | int, ...] = ()) -> dict[str, Any]:
        """The upstream form of the values, nested by path. `custom` is an object by name.

        Lists become lists of upstream objects; a line keeps `_delete` as it is. Errors: ValidationFailedError with a
        pointer per value that cannot be said, VALUE_NOT_ACCEPTED, or FIELD_NOT_WRITABLE.
        """
        built: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, value in _flat(values):
            where = (*at, *name.split(".", 1)) if name.startswith(CUSTOM) else (*at, name)
            field = self.fields.get(name)
            if field is None:
                errors.append(FieldError(pointer(*where), "FIELD_NOT_WRITABLE", self._reason(name)))
                continue
            try:
                _put(built, field.path, self._value(field, value, where))
            except CannotSayError as error:
                errors.append(FieldError(pointer(*where), "VALUE_NOT_ACCEPTED", error.detail))
            except ValidationFailedError as error:
                errors += error.errors
        if errors:
            raise ValidationFailedError(errors[0].detail, errors=tuple(errors))
        return built

    def _value(self, field: FieldUnmap, value: Any, at: tuple[str | int, ...]) -> Any:
        if value is None or field.items is None:
            return None if value is None else field.convert(value)
        if not field.is_list:
            return field.items.body(value, at)
        return [self._line(field.items, line, (*at, place)) for place, line in enumerate(value)]

    @staticmethod
    def _line(items: Unmapping, line: Mapping[str, Any], at: tuple[str | int, ...]) -> dict[str, Any]:
        rest = {name: value for name, value in line.items() if name not in ("id", "_delete")}
        body = items.body(rest, at)
        if line.get("id") is not None:
            body["id"] = line["id"]
        if line.get("_delete"):
            body["_delete"] = True
        return body

    def _reason(self, name: str) -> str:
        return self.why_not.get(name, ("platform", f"There is no field {name}."))[1]


def compile_unmapping(
    spec: EntitySpec, rows: Iterable[MappingRow], *, zone: str = "UTC", encode: Encode = lambda _kind, value: value
) -> Unmapping:
    """Make the effective rows ready for writing. `zone` (IANA) is that of times the system writes without one."""
    return _compile(spec.fields, list(rows), _Inverter(zone, encode))


def _compile(specs: Iterable[FieldSpec], rows: list[MappingRow], inverter: _Inverter) -> Unmapping:
    by_target = {row.target: row for row in rows}
    fields: dict[str, FieldUnmap] = {}
    why_not: dict[str, tuple[str, str]] = {}
    for spec in specs:
        row = by_target.get(spec.name)
        problem = _problem(spec, row)
        if problem is None and row is not None:
            try:
                fields[spec.name] = _field(spec, row, inverter)
                continue
            except CannotSayError as error:
                problem = ("platform", error.detail)
        why_not[spec.name] = problem or ("platform", "")
    fields |= {row.target: field for row in rows if (field := _custom(row, inverter)) is not None}
    return Unmapping(fields, why_not)


def _custom(row: MappingRow, inverter: _Inverter) -> FieldUnmap | None:
    """How a custom field is written: as it is, or of its type; None where it cannot be."""
    path = _path(row)
    if not row.target.startswith(CUSTOM) or row.read_only or path is None:
        return None
    if row.type is None:
        return None if row.transforms else FieldUnmap(row.target, path, lambda value: value)
    try:
        return FieldUnmap(row.target, path, inverter.inverse(custom_spec(row.target, row.type), row))
    except CannotSayError:
        return None


def _problem(spec: FieldSpec, row: MappingRow | None) -> tuple[str, str] | None:
    if not spec.writable:
        return "source", f"{spec.name} is computed by the system."
    if row is None:
        return "platform", f"{spec.name} is not mapped to anything in this system."
    if row.read_only:
        return "source", f"{spec.name} cannot be written in this system."
    if _path(row) is None:
        return "platform", f"{spec.name} is read from an expression; there is no one place to write it to."
    return None


def _path(row: MappingRow) -> tuple[str, ...] | None:
    source = row.write if row.write is not None else row.source
    return path_keys(source) if source else None


def _field(spec: FieldSpec, row: MappingRow, inverter: _Inverter) -> FieldUnmap:
    path = _path(row) or ()
    if spec.kind in ("list", "object"):
        return FieldUnmap(
            spec.name, path, lambda value: value, _compile(spec.item, list(row.items), inverter), spec.kind == "list"
        )
    return FieldUnmap(spec.name, path, inverter.inverse(spec, row))


class _Inverter:
    """Makes the inverse of a row's transforms."""

    def __init__(self, zone: str, encode: Encode) -> None:
        self.zone, self.encode = zone, encode

    def inverse(self, spec: FieldSpec, row: MappingRow) -> Inverse:
        steps: list[Inverse] = [self._step(spec, dict(transform)) for transform in reversed(row.transforms)]
        kind = spec.kind
        start: Inverse = _START.get(kind, _text)

        def convert(value: Any) -> Any:
            found = start(value)
            for step in steps:
                found = step(found)
            return self.encode(kind, found)

        return convert

    def _step(self, spec: FieldSpec, transform: dict[str, Any]) -> Inverse:
        name = transform.pop("name")
        if name == "values":
            return _value_map(transform["map"])
        if name == "minor_units":
            return _minor_units(transform.get("digits", 2))
        if name == "multiply":
            return _divide(transform["by"])
        if name == "datetime":
            return _moment(transform, self.zone)
        if name == "date" and transform.get("format"):
            return lambda value: date.fromisoformat(value).strftime(transform["format"])
        if name in AS_IT_IS:
            return lambda value: value
        raise CannotSayError(f"{spec.name} is made by `{name}`, which cannot be turned around.")


def _value_map(table: Mapping[str, Any]) -> Inverse:
    back: dict[Any, Any] = {}
    for raw, unified in table.items():
        back.setdefault(unified, raw)
    flags = {"true": True, "false": False} if set(table) <= {"true", "false"} else {}

    def convert(value: Any) -> Any:
        if value not in back:
            allowed = ", ".join(str(key) for key in back if key != "unknown")
            raise CannotSayError(f"{value!r} is not known there; use one of: {allowed}.")
        return flags.get(back[value], back[value])

    return convert


def _minor_units(digits: int) -> Inverse:
    def convert(value: Any) -> int:
        minor = Decimal(value).scaleb(digits)
        if minor != minor.to_integral_value():
            raise CannotSayError(f"{value} has more than the {digits} decimals the system keeps.")
        return int(minor)

    return convert


def _divide(by: str) -> Inverse:
    return lambda value: (Decimal(value) / Decimal(by)).normalize()


def _moment(transform: Mapping[str, Any], zone: str) -> Inverse:
    local = ZoneInfo(str(transform.get("zone") or zone))
    divisor = {"seconds": 1, "milliseconds": 1000}.get(str(transform.get("epoch") or ""))

    def convert(value: Any) -> Any:
        moment = datetime.fromisoformat(value)
        if divisor:
            return int(moment.timestamp() * divisor)
        there = moment.astimezone(local)
        return (
            there.strftime(transform["format"]) if transform.get("format") else there.replace(tzinfo=None).isoformat()
        )

    return convert


def _text(value: Any) -> str:
    return str(value)


def _number(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise CannotSayError(f"{value!r} is not a number.") from error


_START: dict[str, Inverse] = {
    "decimal": _number,
    "amount": _number,
    "quantity": _number,
    "integer": int,
    "boolean": bool,
}


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if name == "custom" and isinstance(value, Mapping):
            yield from ((CUSTOM + key, item) for key, item in value.items())
        else:
            yield name, value


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value
