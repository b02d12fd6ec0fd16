"""Times by RFC 3339 with an offset ("2026-03-01T08:00:00Z") and days ("2026-03-01", taken as midnight UTC).

What comes out is UTC. A day stays a day under add_days.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.json import utc_text
from flows.expressions.functions.numbers import amount
from flows.expressions.functions.table import FunctionFailedError, function

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,59}", re.ASCII)
_PIECES = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}
_PIECE = re.compile("|".join(_PIECES))
MAX_PATTERN = 60


@function("string", "number|string")
def add_seconds(time: str, seconds: Any) -> str:
    return utc_text(_moved(_moment(time, "add_seconds"), seconds, 1, "add_seconds"))


@function("string", "number|string")
def add_days(time: str, days: Any) -> str:
    """Days of 24 hours."""
    moved = _moved(_moment(time, "add_days"), days, 86_400, "add_days")
    return moved.date().isoformat() if _DAY.fullmatch(time) else utc_text(moved)


@function("string", "string")
def seconds_between(a: str, b: str) -> float:
    """From a to b; negative where b is before a."""
    seconds = (_moment(b, "seconds_between") - _moment(a, "seconds_between")).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


@function("string", "string", optional=1)
def date_of(time: str, zone: str = "UTC") -> str:
    """The day it is then in the zone."""
    return _local(time, zone, "date_of").date().isoformat()


@function("string", "string", optional=1)
def weekday(time: str, zone: str = "UTC") -> int:
    """1 for Monday to 7 for Sunday."""
    return _local(time, zone, "weekday").isoweekday()


@function("string", "string", "string", optional=1)
def format_date(time: str, pattern: str, zone: str = "UTC") -> str:
    """With YYYY, YY, MM, DD, hh, mm and ss in the pattern replaced."""
    if len(pattern) > MAX_PATTERN:
        raise FunctionFailedError(f"format_date() takes a pattern of at most {MAX_PATTERN} characters")
    local = _local(time, zone, "format_date")
    # %Y of a year before 1000 is not padded everywhere.
    year = f"{local.year:04}"
    values = {piece: year if piece == "YYYY" else local.strftime(code) for piece, code in _PIECES.items()}
    return _PIECE.sub(lambda found: values[found.group()], pattern)


def _moment(text: str, name: str) -> datetime:
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FunctionFailedError(f"{name}() was given a time that is not in the calendar") from error
    raise FunctionFailedError(f"{name}() takes times such as 2026-03-01T08:00:00Z and days such as 2026-03-01")


def _local(text: str, zone: str, name: str) -> datetime:
    try:
        if _ZONE.fullmatch(zone):
            return _moment(text, name).astimezone(ZoneInfo(zone))
    except OverflowError as error:
        raise FunctionFailedError(f"{name}() was given a time that is not in the calendar") from error
    except (KeyError, ValueError, OSError) as error:
        raise FunctionFailedError(
            f"{name}() knows no time zone of this name; take one such as Europe/Berlin"
        ) from error
    raise FunctionFailedError(f"{name}() takes a time zone such as Europe/Berlin")


def _moved(moment: datetime, count: Any, unit: int, name: str) -> datetime:
    try:
        return moment + timedelta(seconds=float(amount(count, name) * unit))
    except OverflowError as error:
        raise FunctionFailedError(f"{name}() leads out of the calendar") from error
