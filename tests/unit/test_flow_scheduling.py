"""Schedules: each time starts one run, an outage one in all, also on the nights when clocks change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.services import disconnect_connection
from flows.definitions.schedule import next_time
from flows.models import Flow
from flows.services import scheduling
from flows.services.editing import pause
from flows.ticks import start_scheduled_runs
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_triggers import change, fresh, make_flow, runs_of
from webhooks.services import clock

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]
Set = Callable[[datetime], None]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Set:
    def to(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    return to


def scheduled(cron: str, zone: str = "UTC", **facts: Any) -> Flow:
    return make_flow({"on": "schedule", "cron": cron, "zone": zone}, **facts)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def fired(flow: Flow) -> list[str]:
    return [run.input["scheduled_at"] for run in runs_of(flow)]


def live_through(set_clock: Set, start: datetime, end: datetime) -> None:
    """Three ticks a minute."""
    at = start
    while at <= end:
        set_clock(at)
        start_scheduled_runs()
        at += MINUTE / 3


def test_time_when_it_comes_starts_one_run_that_says_so(set_clock: Set) -> None:
    flow = scheduled("0 6 * * *")
    change(flow, next_due_at=utc(2026, 3, 2, 6))
    set_clock(utc(2026, 3, 2, 5, 59))
    assert start_scheduled_runs() == 0
    set_clock(utc(2026, 3, 2, 6, 0, 1))
    assert start_scheduled_runs() == 1
    assert start_scheduled_runs() == 0

    (run,) = runs_of(flow)
    assert run.trigger == "schedule" and run.key == "schedule:2026-03-02T06:00:00Z"
    assert run.input == {"kind": "schedule", "at": "2026-03-02T06:00:01Z", "scheduled_at": "2026-03-02T06:00:00Z"}
    assert fresh(flow).next_due_at == utc(2026, 3, 3, 6)


def test_outage_of_three_days_fires_once(set_clock: Set) -> None:
    flow = scheduled("*/10 * * * *")
    change(flow, next_due_at=utc(2026, 3, 2, 6))
    live_through(set_clock, utc(2026, 3, 5, 6, 1), utc(2026, 3, 5, 6, 9))
    assert fired(flow) == ["2026-03-02T06:00:00Z"]
    assert fresh(flow).next_due_at == utc(2026, 3, 5, 6, 10)


def test_fixed_time_on_the_night_with_two_of_them_fires_once(set_clock: Set) -> None:
    flow = scheduled("30 2 * * *", "Europe/Berlin")
    change(flow, next_due_at=utc(2026, 10, 25, 0, 30))
    live_through(set_clock, utc(2026, 10, 25, 0, 20), utc(2026, 10, 25, 2, 0))
    assert fired(flow) == ["2026-10-25T00:30:00Z"]
    assert fresh(flow).next_due_at == utc(2026, 10, 26, 1, 30)


def test_fixed_time_on_the_night_without_it_fires_once(set_clock: Set) -> None:
    flow = scheduled("30 2 * * *", "Europe/Berlin")
    change(flow, next_due_at=utc(2027, 3, 27, 1, 30))
    live_through(set_clock, utc(2027, 3, 27, 1, 29), utc(2027, 3, 27, 1, 31))
    live_through(set_clock, utc(2027, 3, 28, 0, 20), utc(2027, 3, 28, 2, 0))
    assert len(fired(flow)) == 2
    assert fresh(flow).next_due_at == utc(2027, 3, 29, 0, 30)


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        pytest.param(datetime(2026, 10, 24, 22, tzinfo=UTC), 25, id="the long day"),
        pytest.param(datetime(2027, 3, 27, 23, tzinfo=UTC), 23, id="the short day"),
    ],
)
def test_every_hour_fires_at_every_real_hour_of_the_day(set_clock: Set, start: datetime, hours: int) -> None:
    flow = scheduled("0 * * * *", "Europe/Berlin")
    change(flow, next_due_at=start)
    for number in range(hours):
        live_through(set_clock, start + timedelta(hours=number), start + timedelta(hours=number, minutes=1))
    assert len(set(fired(flow))) == len(fired(flow)) == hours


def test_paused_flows_and_others_are_not_due(set_clock: Set) -> None:
    flow, by_hand = scheduled("0 6 * * *"), make_flow()
    with scope(workspace=flow.workspace_id):
        pause(flow, by="tests")
    change(flow, next_due_at=utc(2026, 3, 2, 6))
    change(by_hand, next_due_at=utc(2026, 3, 2, 6))
    set_clock(utc(2026, 3, 2, 7))
    assert start_scheduled_runs() == 0


def test_connection_that_was_ended_then_times_pass_and_nothing_starts(
    set_clock: Set, erp_server: TestErpServer
) -> None:
    bound = connect(erp_server)
    facts: Any = {"workspace": bound.workspace, "environment": bound.environment}
    flow = scheduled("0 6 * * *", erp=bound, **facts)
    with scope(workspace=bound.workspace_id):
        disconnect_connection(bound, by="tests")
    change(flow, next_due_at=utc(2026, 3, 2, 6))
    set_clock(utc(2026, 3, 2, 7))
    assert start_scheduled_runs() == 1
    assert runs_of(flow) == [] and fresh(flow).next_due_at == utc(2026, 3, 3, 6)
    assert fresh(flow).trigger_error is None


def test_schedule_that_cannot_be_worked_out_is_told_and_holds_up_no_other(
    set_clock: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, well = scheduled("0 6 * * *", "Europe/Berlin"), scheduled("0 6 * * *")
    change(broken, next_due_at=utc(2026, 3, 2, 5))
    change(well, next_due_at=utc(2026, 3, 2, 6))
    right = next_time

    def zones_of_today(cron: str, zone: str, after: datetime) -> datetime | None:
        if zone != "UTC":
            raise ValueError("'Europe/Berlin' is no time zone")
        return right(cron, zone, after)

    monkeypatch.setattr(scheduling, "next_time", zones_of_today)
    set_clock(utc(2026, 3, 2, 7))
    assert start_scheduled_runs() == 2
    assert (len(runs_of(broken)), len(runs_of(well))) == (0, 1)
    assert fresh(broken).trigger_error["code"] == "SCHEDULE_FAILED"
    assert fresh(broken).next_due_at == utc(2026, 3, 2, 8)

    monkeypatch.setattr(scheduling, "next_time", right)
    set_clock(utc(2026, 3, 2, 8))
    assert start_scheduled_runs() == 1
    assert fresh(broken).trigger_error is None and len(runs_of(broken)) == 1


@pytest.mark.django_db(transaction=True)
def test_three_ticks_at_once_start_each_time_once(set_clock: Set) -> None:
    workspace = make_flow().workspace
    flows = [scheduled("*/5 * * * *", workspace=workspace) for _ in range(6)]
    barrier, trouble = threading.Barrier(3), []

    def tick() -> None:
        try:
            barrier.wait(20)
            for _ in range(3):
                start_scheduled_runs()
        except Exception as error:  # shown by the test
            trouble.append(error)
        finally:
            database.close()

    for hour in (6, 7):
        for flow in flows:
            change(flow, next_due_at=utc(2026, 3, 2, hour))
        set_clock(utc(2026, 3, 2, hour, 0, 30))
        threads = [threading.Thread(target=tick) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert trouble == []
    assert [fired(flow) for flow in flows] == [["2026-03-02T06:00:00Z", "2026-03-02T07:00:00Z"]] * 6
