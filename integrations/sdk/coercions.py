"""Bringing a value into the form its unified field has, whatever the source wrote. Errors: MappingError."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.entities.spec import FieldSpec
from integrations.sdk import transforms
from integrations.sdk.transforms import MappingError

Mapper = Callable[[Any], Any]


def _string(_spec: FieldSpec) -> Mapper:
    return text


def text(value: Any) -> str | None:
    if type(value) is str:
        return value or None
    if isinstance(value, (dict, list)):
        raise MappingError(f"expected a text, got {type(value).__name__}")
    return _bare(value)


def _bare(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(_spec: FieldSpec) -> Mapper:
    return number_text


is_number = re.compile(r"-?\d+(\.\d+)?", re.ASCII).fullmatch


def number_text(value: Any) -> str:
    """A decimal text without exponent. What is one already stays as it was written."""
    kind = type(value)
    if kind is str and is_number(value):
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
        if type(value) is str and len(value) == 10 and value[4] == value[7] == "-":
            date.fromisoformat(value)  # the common form: checked, and kept as it is
            return value
        return convert(value)

    return day


def moment_of(zone: str) -> Mapper:
    """A moment as RFC 3339 UTC; text without offset is a time of `zone` (IANA)."""
    convert = transforms.to_datetime(zone=zone)

    def moment(value: Any) -> Any:
        if type(value) is str and len(value) == 20 and value[10] == "T" and value[13] == ":" and value[19] == "Z":
            datetime.fromisoformat(value)
            return value
        return convert(value)

    return moment


def json_value(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


COERCE: dict[str, Callable[[FieldSpec], Mapper]] = {
    "string": _string,
    "text": _string,
    "integer": _integer,
    "boolean": _boolean,
    "decimal": _number,
    "amount": _number,
    "quantity": _number,
    "date": _date,
    "enum": _enum,
}
