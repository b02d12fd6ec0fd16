"""The closed list of transforms a mapping may name. docs/guides/mapping.md shows each with an example.

A transform is made once a run from its parameters and then called with one value after the other; None passes through
all but `default` and `constant`. Errors: MappingError, which sends the record to quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import FieldError, ValidationFailedError

Transform = Callable[[Any], Any]
_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<(br|/p|/div|/li)[^>]*>", re.IGNORECASE)


@dataclass
class MappingError(Exception):
    """One value that cannot be brought into the unified form. `target` is the unified field, filled in by the mapping."""

    detail: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.target}: {self.detail}" if self.target else self.detail


def value_map(*, map: Mapping[str, Any]) -> Transform:
    """Replace by table; what is not in the table becomes `unknown` (the raw value stands beside it)."""
    table = dict(map)
    return lambda value: table.get(value if isinstance(value, str) else _key(value), "unknown")


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_date(*, format: str | None = None) -> Transform:
    """A calendar day: ISO text, a date-time (its day as written), or text in `format` (strptime)."""

    def convert(value: Any) -> str:
        try:
            if isinstance(value, date):
                return value.isoformat()[:10]
            if format:
                return datetime.strptime(value, format).date().isoformat()
            return date.fromisoformat(str(value)[:10]).isoformat()
        except ValueError as error:
            raise MappingError(f"{value!r} is not a date") from error

    return convert


def to_datetime(*, zone: str = "UTC", format: str | None = None, epoch: str | None = None) -> Transform:
    """A moment as RFC 3339 UTC. `zone` is for text without offset; `epoch` is `seconds` or `milliseconds`."""
    tz, divisor = ZoneInfo(zone), {"seconds": 1, "milliseconds": 1000}.get(epoch or "")

    def convert(value: Any) -> str:
        try:
            if divisor:
                moment = datetime.fromtimestamp(float(value) / divisor, UTC)
            elif format:
                moment = datetime.strptime(value, format)
            else:
                moment = datetime.fromisoformat(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise MappingError(f"{value!r} is not a date and time") from error
        return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=tz))

    return convert


def utc_text(moment: datetime) -> str:
    """RFC 3339 with `Z`, without needless fractions. Errors: MappingError before year 1 and after 9999."""
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError as error:
        raise MappingError(f"{moment} is out of range") from error


def minor_units(*, digits: int = 2) -> Transform:
    """Cents to major units: 1250 -> "12.50"."""
    return lambda value: format(_decimal(value).scaleb(-digits), "f")


def multiply(*, by: str) -> Transform:
    """Multiply by a decimal factor (a price per 100 units: by "0.01")."""
    factor = Decimal(by)
    return lambda value: format((_decimal(value) * factor).normalize(), "f")


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise MappingError(f"{value!r} is not a number") from error


def strip_thousands(*, separator: str = ",") -> Transform:
    """Numbers written for people: "1,234.50" -> "1234.50"."""
    return lambda value: str(value).replace(separator, "")


def join(*, separator: str = " ") -> Transform:
    """Join the values of a list, leaving out the empty ones."""
    return lambda value: separator.join(str(part) for part in value if part not in (None, "")) or None


def split(*, separator: str = ",", index: int = 0) -> Transform:
    """One piece of a text; None when there are fewer."""

    def convert(value: Any) -> Any:
        parts = str(value).split(separator)
        return parts[index].strip() if -len(parts) <= index < len(parts) else None

    return convert


def plain_text() -> Transform:
    """HTML to plain text, keeping line breaks."""
    return lambda value: unescape(_TAG.sub("", _BREAK.sub("\n", str(value)))).strip()


def default(*, value: Any) -> Transform:
    """What stands where the source has nothing."""
    return lambda found: value if found in (None, "") else found


def constant(*, value: Any) -> Transform:
    """Always this value, whatever the source says."""
    return lambda _found: value


def empty_is_null(*, values: tuple[Any, ...] = ("", False, "0001-01-01", "0001-01-01T00:00:00Z")) -> Transform:
    """What the source writes for nothing (Odoo's false, 0001-01-01) becomes null."""
    nothing = list(values)
    return lambda value: (
        None if any(value is item or (value == item and type(value) is type(item)) for item in nothing) else value
    )


TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "values": value_map,
    "date": to_date,
    "datetime": to_datetime,
    "minor_units": minor_units,
    "multiply": multiply,
    "strip_thousands": strip_thousands,
    "join": join,
    "split": split,
    "plain_text": plain_text,
    "default": default,
    "constant": constant,
    "empty_is_null": empty_is_null,
}
ACCEPT_NONE = frozenset({"default", "constant"})


def make(declared: Mapping[str, Any], *, zone: str = "UTC") -> tuple[str, Transform]:
    """Name and function of a declared transform, e.g. {"name": "minor_units", "digits": 2}.

    `zone` (IANA) is that of times without offset for a `datetime` that names none.
    """
    parameters = dict(declared)
    name = parameters.pop("name", None)
    if name not in TRANSFORMS:
        known = ", ".join(TRANSFORMS)
        raise _invalid("UNKNOWN_TRANSFORM", f"The transform {name!r} does not exist; there are: {known}.")
    implied = {"zone": zone} if name == "datetime" else {}
    try:
        return name, TRANSFORMS[name](**{**implied, **parameters})
    except (TypeError, ValueError, KeyError, InvalidOperation) as error:
        raise _invalid("WRONG_PARAMETERS", f"The transform {name} cannot take {parameters}: {error}.") from error


def _invalid(code: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, errors=(FieldError("/transforms", code, detail),))
