"""Typed JSON values: what JSON lacks, written as objects with `__class__`.

Source: trytond 8.2, protocols/jsonrpc.py (Decimal, date, datetime, time, timedelta, bytes).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from core.errors import ValidationFailedError

MARK = "__class__"
_PLAIN = frozenset({str, int, bool, type(None)})


def typed_date(day: date) -> dict[str, Any]:
    """A calendar day as it is sent."""
    return {MARK: "date", "year": day.year, "month": day.month, "day": day.day}


def typed_decimal(number: Decimal) -> dict[str, Any]:
    """An exact number as it is sent; a JSON number would be read as a float."""
    return {MARK: "Decimal", "decimal": format(number, "f")}


def typed_datetime(moment: datetime) -> dict[str, Any]:
    """A moment as it is sent: UTC without a zone."""
    utc = moment.astimezone(UTC)
    clock = {"hour": utc.hour, "minute": utc.minute, "second": utc.second, "microsecond": utc.microsecond}
    return {**typed_date(utc), MARK: "datetime", **clock}


def moment_of(value: Any) -> datetime | None:
    """The moment of a typed datetime (aware UTC), None for anything else."""
    if not isinstance(value, dict) or value.get(MARK) != "datetime":
        return None
    day = value["year"], value["month"], value["day"]
    clock = value["hour"], value["minute"], value["second"], value["microsecond"]
    return datetime(*day, *clock, UTC)


def plain(value: Any) -> Any:
    """Typed values to plain ones, at any depth: Decimal to text, dates to ISO 8601 (date-times with Z), timedelta to
    seconds, bytes to their base64 text. Floats that are whole become integers (quantities are floats: 2.0 is 2). Keys of
    followed references lose their dot: `party.` becomes `party`.

    Errors: ValidationFailedError for a typed value whose parts are missing.
    """
    kind = type(value)
    if kind is dict:
        return _typed(value) if MARK in value else _members(value)
    if kind is list:
        return [plain(item) for item in value]
    if kind is float and value.is_integer():
        return int(value)
    return value


def _members(value: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, item in value.items():
        if key[-1:] == ".":
            found[key[:-1]] = plain(item)
        elif key + "." not in value:
            found[key] = item if type(item) in _PLAIN else plain(item)
    return found


def _typed(value: dict[str, Any]) -> Any:
    try:
        kind = value[MARK]
        if kind == "Decimal":
            return value["decimal"]
        if kind == "date":
            return f"{value['year']:04}-{value['month']:02}-{value['day']:02}"
        if kind == "datetime":
            day = f"{value['year']:04}-{value['month']:02}-{value['day']:02}"
            return f"{day}T{_clock(value)}Z"
        if kind == "time":
            return _clock(value)
        if kind == "timedelta":
            return value["seconds"]
        if kind == "bytes":
            return value["base64"]
    except (KeyError, ValueError, TypeError) as error:
        raise ValidationFailedError(f"A value of the type {value.get(MARK)!r} lacks {error}.") from error
    return _members(value)


def _clock(value: dict[str, Any]) -> str:
    shown = f"{value['hour']:02}:{value['minute']:02}:{value['second']:02}"
    return f"{shown}.{value['microsecond']:06}" if value["microsecond"] else shown
