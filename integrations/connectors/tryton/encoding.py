"""Unified values as Tryton takes them: exact numbers and days as typed objects, quantities as floats, references as ids."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from integrations.protocols.typed_json import typed_date, typed_decimal
from integrations.sdk.unmapping import CannotSayError


def encoded(kind: str, value: Any) -> Any:
    """The value of a field of this kind. Errors: CannotSayError where Tryton has no such value."""
    if kind in ("decimal", "amount"):
        return typed_decimal(value)
    if kind == "quantity":
        return _quantity(value)
    if kind == "date":
        return typed_date(_day(value))
    if kind == "datetime":
        return typed_date(_day_of(value))
    if kind == "reference":
        return _id(value)
    return value


def _quantity(value: Decimal) -> float:
    found = float(value)
    if Decimal(repr(found)) != value:
        raise CannotSayError(f"{value} has more digits than Tryton keeps of a quantity.")
    return found


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise CannotSayError(f"{value!r} is no day.") from error


def _day_of(value: str) -> date:
    """Tryton plans in days, which we show as 00:00 UTC: another time of the day would be lost without a word."""
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise CannotSayError(f"{value!r} is no date and time.") from error
    if moment.time().isoformat() != "00:00:00":
        raise CannotSayError("Tryton plans in days: give the day at 00:00:00Z.")
    return moment.date()


def _id(value: str) -> int:
    if not value.isdecimal() or len(value) > 10:
        raise CannotSayError(f"{value!r} is no id of Tryton.")
    return int(value)
