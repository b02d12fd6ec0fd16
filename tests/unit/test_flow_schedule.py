"""When schedules fire: zones, both nights on which clocks change, expressions that never fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.definitions.schedule import check_schedule, next_time

NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next ones in UTC, each found from the one before."""
    found, moment = [], utc(after)
    for _ in range(count):
        following = next_time(cron, zone, moment)
        assert following is not None and following > moment and following.tzinfo is UTC
        found.append(following.strftime("%m-%d %H:%M"))
        moment = following
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Berlin, 29 March 2026: 02:00 is 03:00. What is at 02:30 fires when the gap ends.
        ("30 2 * * *", BERLIN, "2026-03-27T12:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["03-29 01:00", "03-30 01:00"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29 01:00", "03-30 00:00"]),
        # Berlin, 25 October 2026: 03:00 is 02:00 again. What is at 02:30 fires the first time.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25T00:30", ["10-26 01:30"]),
        ("50 2 * * *", BERLIN, "2026-10-25T01:10", ["10-26 01:50"]),
        ("30 1,2,3 * * *", BERLIN, "2026-10-24T23:00", ["10-24 23:30", "10-25 00:30", "10-25 02:30"]),
        # New York, 8 March and 1 November 2026.
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 07:00", "03-09 06:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 05:30", "11-02 06:30"]),
        # Havana, 8 March 2026: the day begins at 01:00.
        ("0 0 * * *", "America/Havana", "2026-03-07T12:00", ["03-08 05:00", "03-09 04:00"]),
        # Lord Howe moves by half an hour: 4 October and 5 April 2026.
        ("15 2 * * *", LORD_HOWE, "2026-10-02T20:00", ["10-03 15:30", "10-04 15:15"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-03T20:00", ["04-04 14:45", "04-05 15:15"]),
        # No change: as anywhere.
        ("30 2 * * *", "UTC", "2026-03-28T12:00", ["03-29 02:30", "03-30 02:30"]),
        ("30 2 * * *", "Asia/Kolkata", "2026-03-28T12:00", ["03-28 21:00", "03-29 21:00"]),
    ],
)
def test_fixed_times_fire_once_on_each_night(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 * * * *", BERLIN, "2026-03-28T23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
        ("0 * * * *", BERLIN, "2026-10-24T23:30", ["10-25 00:00", "10-25 01:00", "10-25 02:00"]),
        ("*/30 2 * * *", BERLIN, "2026-10-24T23:30", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("*/30 2 * * *", BERLIN, "2026-03-28T23:30", ["03-30 00:00"]),
        ("0 */2 * * *", BERLIN, "2026-03-28T22:30", ["03-28 23:00", "03-29 02:00", "03-29 04:00"]),
        ("0 * * * *", LORD_HOWE, "2026-10-03T14:45", ["10-03 16:00", "10-03 17:00"]),
        ("0 */3 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-03 13:30", "10-03 16:00", "10-03 19:00"]),
        ("0 * * * 0", "America/Havana", "2026-03-08T03:00", ["03-08 05:00", "03-08 06:00"]),
        ("*/15 0 8 3 *", "America/Havana", "2026-03-07T12:00", []),
    ],
)
def test_schedules_of_every_hour_or_minute_follow_real_time(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert times(cron, zone, after, len(expected)) == expected
    if not expected:
        following = next_time(cron, zone, utc(after))
        assert following is not None and following.year == 2027


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "America/Havana", "Africa/Casablanca", "Asia/Tehran"])
@pytest.mark.parametrize("cron", ["*/20 * * * *", "15 * * * *", "*/30 1,2 * * *", "0 */3 * * 6,0"])
def test_real_times_are_exactly_the_minutes_whose_clock_fits(cron: str, zone: str) -> None:
    """Against every minute of the nights around each change of the year's clocks."""
    minute, hour, _, _, weekday = cron.split()
    fits_minute = {
        "*/20": lambda m: m % 20 == 0,
        "15": lambda m: m == 15,
        "*/30": lambda m: m % 30 == 0,
        "0": lambda m: m == 0,
    }
    fits_hour = {"*": lambda h: True, "1,2": lambda h: h in (1, 2), "*/3": lambda h: h % 3 == 0}
    for start in nights_of_change(zone):
        local = ((start + timedelta(minutes=m)) for m in range(1, 36 * 60 + 1))
        expected = [
            at
            for at in local
            for shown in [at.astimezone(ZoneInfo(zone))]
            if fits_minute[minute](shown.minute)
            and fits_hour[hour](shown.hour)
            and (weekday == "*" or shown.isoweekday() in (6, 7))
        ]
        assert expected
        found, moment = [], start
        for _ in expected:
            following = next_time(cron, zone, moment)
            assert following is not None
            found.append(following)
            moment = following
        assert found == expected


def nights_of_change(zone: str) -> list[datetime]:
    """The noon before each change of 2026, and one where nothing changes."""
    noons = [utc("2026-01-01T12:00") + timedelta(days=day) for day in range(365)]
    offsets = [noon.astimezone(ZoneInfo(zone)).utcoffset() for noon in noons]
    changed = [noon for noon, before, after in zip(noons, offsets, offsets[1:], strict=False) if before != after]
    return [*changed, utc("2026-06-05T12:00")]


def test_what_was_missed_is_skipped() -> None:
    assert times("0 6 * * 1-5", BERLIN, "2026-05-08T04:00:00.5", 2) == ["05-11 04:00", "05-12 04:00"]
    assert times("0 6 * * 1-5", BERLIN, "2026-05-08T03:59:59.9", 1) == ["05-08 04:00"]


def test_days_as_people_say_them() -> None:
    assert times("0 12 L * *", "UTC", "2026-02-01T00:00", 2) == ["02-28 12:00", "03-31 12:00"]
    assert times("0 12 * * MON#1", "UTC", "2026-02-01T00:00", 2) == ["02-02 12:00", "03-02 12:00"]
    assert times("0 12 29 FEB *", "UTC", "2026-02-01T00:00", 1) == ["02-29 12:00"]


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("0 0 6 * * *", "Six fields"),
        ("@daily", "five fields"),
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of the month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of the week"),
        ("x * * * *", "minute"),
        ("*/90 * * * *", "steps of more than 59"),
        ("*/0 * * * *", "minute"),
        ("0 0 30 2 *", "day of the month"),
        ("0 0 31 2,4,6 *", "day of the month"),
    ],
)
def test_what_is_no_schedule_is_told_in_words(cron: str, word: str) -> None:
    (error,) = check_schedule(cron, "UTC")

    assert error.pointer == "/cron" and word in error.detail
    with pytest.raises(ValueError, match=r".+"):
        next_time(cron, "UTC", utc("2026-01-01T00:00"))


@pytest.mark.parametrize("zone", ["Berlin", "europe/berlin", "../../etc/passwd", "", "Europe", "\x00", "+01:00"])
def test_unknown_zones_are_refused(zone: str) -> None:
    (error,) = check_schedule("0 6 * * *", zone)

    assert error.pointer == "/zone" and "IANA" in error.detail


def test_what_is_well_has_no_errors() -> None:
    assert check_schedule("30 6 * * MON-FRI", BERLIN) == []
    assert check_schedule("0 0 29 2 *", "UTC") == []


def test_next_time_of_a_schedule_that_is_over_is_none() -> None:
    assert next_time("0 0 29 2 *", "UTC", datetime(9998, 1, 1, tzinfo=UTC)) is None


@given(st.text(alphabet="0123456789*/-,LW# MONFEB", max_size=40))
def test_any_text_is_refused_in_words_or_fires_later(cron: str) -> None:
    moment = utc("2026-03-28T23:30")
    if not check_schedule(cron, BERLIN):
        following = next_time(cron, BERLIN, moment)
        assert following is not None and following > moment
