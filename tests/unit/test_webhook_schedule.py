"""The schedule of deliveries and the rules for endpoints, by arithmetic alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.services.claiming import Claimed
from webhooks.services.judging import Outcome, Standing, judge
from webhooks.services.schedule import (
    DELAYS,
    MAX_ATTEMPTS,
    probe_seconds,
    seconds_after_failure,
    seconds_before,
)

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
HOUR = 3600
EVERY_ID = [uuid4() for _ in range(300)]


def claimed(**facts: Any) -> Claimed:
    values: dict[str, Any] = {
        "id": UUID(int=1), "workspace_id": UUID(int=2), "endpoint_id": UUID(int=3), "event_id": UUID(int=4), "part": 0,
        "event_type": "sync.completed", "position": 1, "attempts": 0, "fence": 1, "is_manual": False, "body": "{}",
        "url": "https://example.com", "environment": "live", "has_event": True, "connection_id": None,
        "not_after": 0.0,
    }  # fmt: skip
    return Claimed(**{**values, **facts})


def failed(status: int | None = 500, **facts: Any) -> Outcome:
    retry_after = facts.pop("retry_after", None)
    return Outcome(claimed(**facts), status_code=status, error_code="FAILED", retry_after=retry_after)


def taken(**facts: Any) -> Outcome:
    return Outcome(claimed(**facts), status_code=204)


def test_schedule_is_the_promised_one() -> None:
    assert DELAYS == (0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
    assert MAX_ATTEMPTS == 10
    assert 75 < sum(DELAYS) / HOUR < 76


@pytest.mark.parametrize("attempt", range(1, 11))
def test_jitter_stays_within_a_tenth_and_is_spread(attempt: int) -> None:
    waits = [seconds_before(attempt, pk) for pk in EVERY_ID]
    delay = DELAYS[attempt - 1]
    assert all(0.9 * delay <= wait <= 1.1 * delay for wait in waits)
    assert attempt == 1 or (min(waits) < 0.92 * delay and max(waits) > 1.08 * delay)


def test_jitter_is_the_same_for_the_same_attempt() -> None:
    assert seconds_before(4, EVERY_ID[0]) == seconds_before(4, EVERY_ID[0])
    assert seconds_before(4, EVERY_ID[0]) / DELAYS[3] != seconds_before(5, EVERY_ID[0]) / DELAYS[4]


def test_after_the_last_attempt_nothing_follows() -> None:
    assert seconds_after_failure(9, EVERY_ID[0]) is not None
    assert seconds_after_failure(10, EVERY_ID[0]) is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [(0.2, None), (3, None), (400, 400), (86_400, 86_400), (90_000, 86_400)])
def test_retry_after_counts_when_it_is_later_and_within_a_day(status: int, asked: float, waited: float | None) -> None:
    usual = seconds_after_failure(1, EVERY_ID[0])
    assert seconds_after_failure(1, EVERY_ID[0], status=status, retry_after=asked) == (waited or usual)


def test_retry_after_of_other_statuses_is_not_asked_for() -> None:
    usual = seconds_after_failure(1, EVERY_ID[0])
    assert seconds_after_failure(1, EVERY_ID[0], status=500, retry_after=400) == usual


def test_probes_become_rarer_up_to_a_minute() -> None:
    assert [probe_seconds(failures) for failures in range(11)] == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert probe_seconds(100_000) == 60


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_taken(status: int) -> None:
    assert judge(Outcome(claimed(), status_code=status)).status == DeliveryStatus.DELIVERED


@pytest.mark.parametrize("status", [None, 100, 301, 302, 304, 307, 400, 401, 404, 410, 500, 503])
def test_everything_else_is_failure(status: int | None) -> None:
    verdict = judge(failed(status))
    assert verdict.status == DeliveryStatus.PENDING
    assert verdict.wait_seconds is not None and 4.5 <= verdict.wait_seconds <= 5.5


def test_an_answer_that_did_not_end_is_failure() -> None:
    assert judge(Outcome(claimed(), status_code=200, error_code="READ_TIMED_OUT")).status == DeliveryStatus.PENDING


def test_tenth_failure_exhausts() -> None:
    assert judge(failed(attempts=8)).status == DeliveryStatus.PENDING
    assert judge(failed(attempts=9)).status == DeliveryStatus.EXHAUSTED


def test_by_hand_there_is_one_attempt() -> None:
    assert judge(failed(is_manual=True)).status == DeliveryStatus.EXHAUSTED


def test_410_disables_at_once() -> None:
    standing = Standing("active")
    standing.count(failed(410), AT)
    assert (standing.status, standing.disabled_at) == (EndpointStatus.DISABLED, AT)
    assert "410" in standing.disabled_reason


def test_410_leaves_a_paused_endpoint_paused() -> None:
    standing = Standing("paused")
    standing.count(failed(410), AT)
    assert standing.status == EndpointStatus.PAUSED


def test_five_days_of_nothing_but_failure_disable() -> None:
    standing = Standing("active")
    standing.count(failed(), AT)
    standing.count(failed(), AT + timedelta(days=5))
    assert standing.status == EndpointStatus.ACTIVE, "five days are not over five days"
    standing.count(failed(), AT + timedelta(days=5, seconds=1))
    assert standing.status == EndpointStatus.DISABLED
    assert standing.failures_in_row == 3


def test_sporadic_failure_never_disables() -> None:
    standing = Standing("active")
    for day in range(100):
        for minute in range(9):
            standing.count(failed(), AT + timedelta(days=day, minutes=minute))
        standing.count(taken(), AT + timedelta(days=day, hours=23))
    assert (standing.status, standing.failures_in_row, standing.failing_since) == (EndpointStatus.ACTIVE, 0, None)


def test_a_failed_test_is_not_held_against_the_endpoint() -> None:
    standing = Standing("active")
    standing.count(failed(is_manual=True), AT)
    assert (standing.failures_in_row, standing.failing_since, standing.last_failure_at) == (0, None, AT)


def test_what_never_left_the_platform_says_nothing_about_the_endpoint() -> None:
    standing = Standing("active")
    standing.count(Outcome(claimed(), error_code="KEY_MISSING", is_ours=True), AT)
    assert standing == Standing("active")
