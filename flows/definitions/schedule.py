"""When a schedule fires: cron expressions of five fields in a time zone, right on the nights when clocks change.

Two kinds, as Debian's cron has them. A schedule at fixed times (`30 2 * * *`) fires once for each: a time that the night
does not have fires when the gap ends, one that it has twice fires the first time. A schedule whose minute or hour begins
with `*` (`0 * * * *`, `*/15 2 * * *`) fires at every real minute that fits.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from core.errors import FieldError

__all__ = ["check_schedule", "next_time"]

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_STEP = re.compile(r"/([0-9]+)")
_LAST = (59, 23, 31, 12, 7)
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_LOOK = timedelta(hours=6)
_SECOND = timedelta(seconds=1)


def next_time(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first time after `after` (aware), in UTC; None when there is none within 50 years.

    Errors: ValueError for what `check_schedule` refuses.
    """
    if errors := _errors(cron, zone):
        raise ValueError(errors[0].detail)
    return _next(cron, ZoneInfo(zone), after.astimezone(UTC))


def check_schedule(cron: str, zone: str) -> list[FieldError]:
    """What is wrong, in words, with the pointers /cron and /zone. Empty when it is well and fires some time."""
    errors = _errors(cron, zone)
    if not errors and _next(cron, ZoneInfo(zone), _ANY_TIME) is None:
        return [_wrong("/cron", f"No day fits {cron!r}: it would never fire.")]
    return errors


def _errors(cron: str, zone: str) -> list[FieldError]:
    found = []
    if zone not in _zones():
        detail = f"{zone!r} is no time zone; use an IANA name such as Europe/Berlin, or UTC."
        found.append(_wrong("/zone", detail))
    if told := _told_of(cron):
        found.append(_wrong("/cron", told))
    return found


def _told_of(cron: str) -> str:
    """What is wrong with the expression; empty when nothing is."""
    parts = cron.split()
    if len(parts) == 6:
        return "Six fields are too many: seconds cannot be told. Use minute hour day month weekday, e.g. 30 6 * * 1-5."
    if len(parts) != 5:
        return "Use five fields: minute hour day month weekday, e.g. 30 6 * * 1-5 for 6:30 from Monday to Friday."
    for part, name, last in zip(parts, FIELDS, _LAST, strict=True):
        if any(int(step) > last for step in _STEP.findall(part)):
            return (
                f"{part!r} as {name}: steps of more than {last} cannot be said here; it would fire once in each round."
            )
    try:
        CronSim(cron, _ANY_TIME)
    except CronSimError as error:
        return f"{cron!r} is no schedule: {_reason(str(error))}."
    return ""


def _reason(said: str) -> str:
    """`Bad day-of-month` in our words."""
    names = {"minute": 0, "hour": 1, "day-of-month": 2, "month": 3, "day-of-week": 4}
    place = names.get(said.removeprefix("Bad "))
    return said.lower() if place is None else f"the {FIELDS[place]} cannot be read, or no day has it"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _wrong(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer, "INVALID_SCHEDULE" if pointer == "/cron" else "UNKNOWN_ZONE", detail)


def _next(cron: str, zone: tzinfo, after: datetime) -> datetime | None:
    minute, hour, *_ = cron.split()
    is_fixed = not minute.startswith("*") and not hour.startswith("*")
    try:
        return _next_fixed(cron, zone, after) if is_fixed else _next_real(cron, zone, after)
    except (StopIteration, OverflowError):
        return None


def _next_fixed(cron: str, zone: tzinfo, after: datetime) -> datetime:
    """A time that comes twice counts once: seen from the second one, the first is over."""
    times = CronSim(cron, after.astimezone(zone))
    while (found := next(times).astimezone(UTC)) <= after:
        pass
    return found


def _next_real(cron: str, zone: tzinfo, after: datetime) -> datetime:
    """As if clocks never changed, from one change to the next."""
    offset = _offset(zone, after)
    while True:
        found = (next(CronSim(cron, (after + offset).replace(tzinfo=None))) - offset).replace(tzinfo=UTC)
        change = _change(zone, after, found, offset)
        if change is None:
            return found
        after, offset = change - _SECOND, _offset(zone, change)


def _change(zone: tzinfo, start: datetime, end: datetime, offset: timedelta) -> datetime | None:
    """The first second after `start`, up to `end`, at which the clocks show another offset than this one."""
    same = start.replace(microsecond=0) + _SECOND
    if _offset(zone, same) != offset:
        return same
    while same < end:
        other = min(same + _LOOK, end)
        if _offset(zone, other) != offset:
            return _first_other(zone, same, other, offset)
        same = other
    return None


def _first_other(zone: tzinfo, same: datetime, other: datetime, offset: timedelta) -> datetime:
    while other - same > _SECOND:
        middle = same + _SECOND * ((other - same) // _SECOND // 2)
        same, other = (middle, other) if _offset(zone, middle) == offset else (same, middle)
    return other


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
