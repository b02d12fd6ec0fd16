"""Attempts: again after what may work later, within the time of a step; never blindly."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import RateLimitedError, TransientError, ValidationFailedError
from flows.definitions.model import Retry
from flows.engine.handlers.flow import FLOW_HANDLERS
from flows.engine.retrying import pause_seconds
from flows.engine.turn import Done, OutcomeLostError
from flows.models import FlowRun, StepRun
from tests.flow_stage import drain, let_pass, make_flow, outputs_of, run_flow, start, statuses_of, steps_of, work

pytestmark = pytest.mark.django_db
HANDLERS: dict[str, Any] = FLOW_HANDLERS  # type: ignore[assignment]
AFTER = {"name": "after", "do": "map", "value": {"$": "steps.try.error.code"}}


def a_try(**rest: Any) -> dict[str, Any]:
    # A kind that is stored before it is done, whose handler the tests replace.
    return {"name": "try", "do": "wait", "seconds": 0, **rest}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the step's attempts come to: an error to raise, or an output."""
    left: list[Any] = []

    def handler(turn: Any) -> Done:
        answer = left.pop(0)
        if callable(answer):
            answer = answer(turn)
        if isinstance(answer, Exception):
            raise answer
        return Done(answer)

    monkeypatch.setitem(HANDLERS, "wait", handler)
    return left


def trouble(**rest: Any) -> TransientError:
    return TransientError("It does not answer.", **rest)


@pytest.mark.parametrize(
    ("made", "error", "seconds"),
    [
        (0, trouble(), 10),
        (1, trouble(), 20),
        (2, trouble(), 30),
        (3, trouble(), None),
        (0, ValidationFailedError("Wrong."), None),
        (0, RateLimitedError("Slow down.", retry_after=77), 77),
        (0, RateLimitedError("Slow down.", retry_after=1), 10),
    ],
)
def test_pauses_grow_up_to_their_most(made: int, error: Any, seconds: float | None) -> None:
    policy = Retry(attempts=4, seconds=10, factor=2, max_seconds=30)
    assert pause_seconds(policy, StepRun(retry=made), error) == seconds
    assert pause_seconds(policy, StepRun(retry=made + 7, state={"first_retry": 7}), error) == seconds


def test_a_step_is_tried_again_later_and_keeps_its_attempts(answers: list[Any]) -> None:
    answers += [trouble(), trouble(), "well"]
    run = run_flow(a_try(retry={"attempts": 3, "seconds": 10}))
    assert (run.status, run.waits_for) == ("waiting", "time")
    assert steps_of(run)["try"].error["code"] == "UPSTREAM_UNAVAILABLE"
    let_pass(run, 11)
    run = drain(run)
    assert run.status == "waiting"
    let_pass(run, 21)
    run = drain(run)

    step = steps_of(run)["try"]
    assert (run.status, step.output, step.retry, step.error) == ("succeeded", "well", 2, None)
    assert [(one["retry"], one["error"]["code"]) for one in step.attempts] == [
        (0, "UPSTREAM_UNAVAILABLE"),
        (1, "UPSTREAM_UNAVAILABLE"),
    ]
    assert all(one["started_at"] < one["ended_at"] for one in step.attempts)


@pytest.mark.parametrize("error", [ValidationFailedError("Wrong."), None], ids=["for good", "once too often"])
def test_what_will_not_work_fails_the_step(answers: list[Any], error: Any) -> None:
    answers += [error or trouble()]
    run = run_flow(a_try(retry={"attempts": 1 if error is None else 3}))

    assert run.status == "failed" and answers == []
    assert steps_of(run)["try"].attempts == []


def test_a_dry_run_tries_again_without_pauses(answers: list[Any]) -> None:
    answers += [trouble(), trouble(), "well"]
    assert run_flow(a_try(), is_dry=True).status == "succeeded"


def test_pauses_of_no_length_hold_the_worker(answers: list[Any]) -> None:
    answers += [trouble(), "well"]
    assert work(start(make_flow(a_try(retry={"seconds": 0})))).status == "succeeded"


def test_a_pause_that_ends_after_the_time_is_not_made(answers: list[Any]) -> None:
    answers += [trouble()]
    run = run_flow(a_try(timeout_seconds=5))
    assert (run.status, run.error["code"]) == ("failed", "UPSTREAM_UNAVAILABLE")


def test_a_step_has_its_time() -> None:
    step = {"name": "try", "do": "wait", "seconds": 600, "timeout_seconds": 60, "on_error": "continue"}
    run = run_flow(step, AFTER)
    let_pass(run, 61)
    run = drain(run)

    assert run.status == "succeeded"
    assert outputs_of(run)["after"] == "STEP_TIMED_OUT"


def test_the_time_of_a_step_is_that_of_the_steps_in_it() -> None:
    inner = {"name": "slow", "do": "wait", "seconds": 600, "on_error": "continue"}
    never = {"name": "never", "do": "map", "value": 1}
    each = {
        "name": "try",
        "do": "for_each",
        "items": "trigger.body",
        "steps": [inner, never],
        "timeout_seconds": 60,
        "on_error": "continue",
    }
    run = drain(start(make_flow(each, AFTER), [1, 2]))
    assert run.status == "waiting"
    let_pass(run, 61)
    run = drain(run)

    assert run.status == "succeeded"
    assert statuses_of(run) == {
        "try": "failed",
        "try[0]": "failed",
        "try[0].slow": "failed",
        "after": "succeeded",
    }
    assert outputs_of(run)["after"] == "STEP_TIMED_OUT"


def test_a_run_is_due_when_the_time_around_is_over() -> None:
    run = run_flow({"name": "try", "do": "wait", "seconds": 600, "timeout_seconds": 60})
    assert (run.due_at - steps_of(run)["try"].started_at).total_seconds() == pytest.approx(60, abs=1)


def test_an_outcome_that_is_lost_waits_for_a_person(answers: list[Any]) -> None:
    call = {"method": "POST", "url": "https://example.com", "status": None, "elapsed_ms": 5}

    def begun(turn: Any) -> Exception:
        turn.begin()
        return OutcomeLostError("Who knows?", code="OUTCOME_LOST", extra={"call": call})

    answers.append(begun)
    run = run_flow(a_try())

    assert (run.status, run.waits_for, run.due_at.year) == ("waiting", "person", 9999)
    step = steps_of(run)["try"]
    assert (step.status, step.has_begun, step.error["code"], step.call) == ("waiting", True, "OUTCOME_LOST", call)
    assert step.retry == 0


def test_the_call_of_a_failed_attempt_is_kept(answers: list[Any]) -> None:
    call = {"method": "GET", "url": "https://example.com", "status": 503, "elapsed_ms": 5}
    answers += [trouble(extra={"call": call}), "well"]
    run = run_flow(a_try(retry={"seconds": 0}))

    step = steps_of(run)["try"]
    assert (step.attempts[0]["call"], step.call) == (call, None)


def test_values_are_fixed_before_the_first_attempt(answers: list[Any]) -> None:
    seen: list[Any] = []

    def look(turn: Any) -> Any:
        seen.append((dict(turn.values), steps_of(turn.run)["try"].input))
        return trouble() if len(seen) == 1 else "well"

    answers += [look, look]
    run = run_flow(a_try(seconds={"$": "trigger.body"}), body=1)
    let_pass(run, 11)
    run = drain(run)

    assert run.status == "succeeded"
    assert seen == [({"seconds": 1, "until": None}, {"seconds": 1, "until": None})] * 2


def test_a_cancelled_run_begins_nothing_outside(answers: list[Any]) -> None:
    def cancelled(turn: Any) -> Any:
        FlowRun.objects.filter(pk=turn.run.pk).update(cancel_requested=True)
        turn.begin()
        return "never"

    answers.append(cancelled)
    run = run_flow(a_try())

    assert run.status == "cancelled"
    step = steps_of(run)["try"]
    assert (step.status, step.has_begun, step.error["code"]) == ("failed", False, "CANCELLED")
