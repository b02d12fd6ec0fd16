"""What becomes of a run, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from flows.engine.handlers.flow import FLOW_HANDLERS
from flows.engine.turn import Done
from flows.models import FlowRun
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_stage import (
    drain,
    events_of,
    fresh,
    lose_lease,
    make_flow,
    outputs_of,
    run_flow,
    start,
    statuses_of,
    steps_of,
    version_of,
    work,
)
from workspaces.events import emit_custom

pytestmark = pytest.mark.django_db


def a_map(name: str, value: Any, **rest: Any) -> dict[str, Any]:
    return {"name": name, "do": "map", "value": value, **rest}


HANDLERS: dict[str, Any] = FLOW_HANDLERS  # type: ignore[assignment]
FAILING = {"$": "length(`5`)"}


def test_a_run_of_plain_steps_succeeds_and_keeps_what_went_in_and_out() -> None:
    run = run_flow(a_map("one", {"n": {"$": "trigger.body.n"}}), a_map("two", {"$": "steps.one.n"}), body={"n": 4})

    assert (run.status, run.error) == ("succeeded", None)
    assert outputs_of(run) == {"one": {"n": 4}, "two": 4}
    assert {row.status for row in steps_of(run).values()} == {"succeeded"}
    assert steps_of(run)["two"].input == {"value": 4}
    assert run.started_at and run.finished_at and run.lease_until is None
    (told,) = events_of(run)
    assert (told["type"], told["reason"], told["connection"]) == ("flow.succeeded", "flow", None)
    assert told["data"]["version"] == 1 and told["data"]["error"] is None


def test_expressions_see_trigger_run_and_steps() -> None:
    run = run_flow(a_map("all", {"kind": {"$": "trigger.kind"}, "run": {"$": "run"}}))

    seen = outputs_of(run)["all"]
    assert seen["kind"] == "manual"
    assert seen["run"]["id"].startswith("frun_") and seen["run"]["version"] == 1 and seen["run"]["started_at"]


def test_a_step_that_is_not_wanted_is_skipped() -> None:
    run = run_flow(a_map("no", 1, when="trigger.body.x"), a_map("after", {"$": "steps.no"}), body={"x": False})

    assert run.status == "succeeded"
    assert statuses_of(run) == {"no": "skipped", "after": "succeeded"}
    assert outputs_of(run) == {"no": None, "after": None}


def test_a_failing_step_fails_the_run_and_is_told() -> None:
    run = run_flow(a_map("bad", FAILING), a_map("after", 1))

    assert run.status == "failed"
    assert (run.error["code"], run.error["step"], run.current_step) == ("EXPRESSION_FAILED", "bad", "bad")
    assert statuses_of(run) == {"bad": "failed"}
    (told,) = events_of(run)
    assert told["type"] == "flow.failed" and told["data"]["error"]["step"] == "bad"


def test_a_run_goes_on_after_a_failure_that_may_be() -> None:
    run = run_flow(a_map("bad", FAILING, on_error="continue"), a_map("after", {"$": "steps.bad.error.code"}))

    assert run.status == "succeeded"
    assert statuses_of(run) == {"bad": "failed", "after": "succeeded"}
    assert outputs_of(run)["after"] == "EXPRESSION_FAILED"


def test_steps_for_a_failure_see_it_and_are_seen() -> None:
    mending = {"steps": [a_map("mend", {"$": "error.code"})]}
    run = run_flow(a_map("bad", FAILING, on_error=mending), a_map("after", {"$": "steps.mend"}))

    assert run.status == "succeeded"
    assert outputs_of(run)["after"] == "EXPRESSION_FAILED"


@pytest.mark.parametrize(("given", "done"), [(True, "yes"), (False, "no"), ([], "no"), (0, "yes")])
def test_a_condition_goes_one_way(given: Any, done: str) -> None:
    condition = {
        "name": "which",
        "do": "condition",
        "if": "trigger.body.it",
        "then": [a_map("yes", 1)],
        "else": [a_map("no", 0)],
    }
    run = run_flow(condition, a_map("after", {"$": "[steps.yes, steps.no, steps.which.result]"}), body={"it": given})

    assert run.status == "succeeded"
    assert set(statuses_of(run)) == {"which", done, "after"}
    assert outputs_of(run)["after"] == ([1, None, True] if done == "yes" else [None, 0, False])


def test_a_failure_in_a_branch_is_that_of_the_condition() -> None:
    condition = {
        "name": "which",
        "do": "condition",
        "if": "`true`",
        "then": [a_map("bad", FAILING)],
        "on_error": "continue",
    }
    run = run_flow(condition, a_map("after", {"$": "steps.which.error.step"}))

    assert run.status == "succeeded"
    assert statuses_of(run) == {"which": "failed", "bad": "failed", "after": "succeeded"}
    assert outputs_of(run)["after"] == "bad"


@pytest.mark.parametrize(("outcome", "code"), [("succeeded", None), ("failed", "FLOW_STOPPED")])
def test_a_stop_ends_the_run_where_it_stands(outcome: str, code: str | None) -> None:
    stop = {"name": "end", "do": "stop", "outcome": outcome, "message": {"$": "trigger.body"}}
    condition = {"name": "which", "do": "condition", "if": "`true`", "then": [stop]}
    run = run_flow(condition, a_map("after", 1), body="Enough in stock")

    assert run.status == outcome
    assert statuses_of(run) == {"which": outcome, "end": "succeeded"}
    assert (run.error and run.error["code"]) == code
    assert code is None or run.error["message"] == "Enough in stock"


def test_a_stop_that_was_stored_stops_again() -> None:
    run = start(make_flow({"name": "end", "do": "stop"}, a_map("after", 1)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("flows.engine.run.end_run", _die)
        with pytest.raises(Died):
            work(run)
    lose_lease(run)

    assert drain(run).status == "succeeded"
    assert set(statuses_of(run)) == {"end"}


def test_an_emitted_event_is_told_once_with_its_step() -> None:
    emit = {"name": "tell", "do": "emit", "type": "custom.order.late", "data": {"order": {"$": "trigger.body"}}}
    run = run_flow(emit, body="PO-1")

    late, succeeded = events_of(run)
    assert (late["type"], late["data"], late["reason"]) == ("custom.order.late", {"order": "PO-1"}, "flow")
    assert outputs_of(run)["tell"] == {"event": late["id"], "type": "custom.order.late"}
    assert succeeded["type"] == "flow.succeeded"


def test_a_dry_run_tells_nothing() -> None:
    emit = {"name": "tell", "do": "emit", "type": "custom.order.late", "data": {"order": 1}}
    run = run_flow(emit, is_dry=True)

    assert run.status == "succeeded" and events_of(run) == []
    assert outputs_of(run)["tell"] == {"event": None, "type": "custom.order.late", "data": {"order": 1}}


class Died(BaseException):
    """Nothing of ours catches it: as if the worker had been killed."""


def _die(*args: Any, **rest: Any) -> None:
    raise Died


def test_finished_steps_are_not_repeated_after_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_flow(a_map("one", {"$": "run.started_at"}), a_map("two", {"$": "steps.one"})))
    original, seen = HANDLERS["map"], []

    def handler(turn: Any) -> Any:
        seen.append(turn.row.path)
        if seen == ["one", "two"]:
            raise Died
        return original(turn)

    monkeypatch.setitem(HANDLERS, "map", handler)
    with pytest.raises(Died):
        work(run)
    before = outputs_of(run)
    lose_lease(run)

    assert drain(run).status == "succeeded"
    assert seen == ["one", "two", "two"]
    assert outputs_of(run) == {**before, "two": before["one"]}


def test_the_sixth_claim_without_progress_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_flow(a_map("one", 1)))
    monkeypatch.setattr("flows.engine.interpreter.attempt", _die)
    for _ in range(5):
        with pytest.raises(Died):
            work(run)
        lose_lease(run)
    run = work(run)

    assert (run.status, run.error["code"], run.claims_without_progress) == ("failed", "NO_PROGRESS", 6)


def test_what_nobody_expected_is_stored_as_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise KeyError("inside")

    monkeypatch.setattr("flows.engine.handlers.records.read_live", broken)
    monkeypatch.setattr("flows.engine.interpreter.attempt", broken)
    run = run_flow(a_map("one", 1))

    assert (run.status, run.error["code"], run.error["category"]) == ("failed", "INTERNAL_ERROR", "bug")
    assert "KeyError" in run.error["message"] and "inside" not in run.error["message"]


def test_a_cancelled_run_ends_before_its_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_flow(a_map("one", 1), a_map("two", 2)))
    original = HANDLERS["map"]

    def handler(turn: Any) -> Any:
        FlowRun.objects.filter(pk=turn.run.pk).update(cancel_requested=True)
        return original(turn)

    monkeypatch.setitem(HANDLERS, "map", handler)
    run = work(run)

    assert (run.status, run.error["code"]) == ("cancelled", "CANCELLED")
    assert statuses_of(run) == {"one": "succeeded"}
    assert events_of(run) == []


def test_a_long_run_gives_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.work.WORK_SECONDS", 0.0)
    run = work(start(make_flow(a_map("one", 1))))
    assert (run.status, statuses_of(run)) == ("queued", {})

    monkeypatch.undo()
    assert drain(run).status == "succeeded"


@pytest.mark.parametrize(
    ("size", "code"), [(300 * 1024, "STEP_OUTPUT_TOO_LARGE"), (100, None)], ids=["too large", "fits"]
)
def test_what_is_too_large_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, size: int, code: str | None) -> None:
    monkeypatch.setitem(HANDLERS, "map", lambda turn: Done("x" * size))
    run = run_flow(a_map("one", 1))

    assert (run.error and run.error["code"]) == code
    assert code is None or ("262,144" in run.error["message"] and f"{size + 2:,}" in run.error["message"])


@pytest.mark.parametrize("value", ["half\x00way", "\ud800", {1, 2}], ids=["NUL", "half a character", "no JSON"])
def test_what_cannot_be_stored_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.setitem(HANDLERS, "map", lambda turn: Done(value))
    run = run_flow(a_map("one", 1))

    assert (run.status, run.error["code"]) == ("failed", "VALUE_NOT_STORABLE")


def test_a_text_that_only_looks_like_an_escape_is_stored() -> None:
    run = run_flow(a_map("one", {"$": "trigger.body"}), body=r"a \u0000 in words")

    assert outputs_of(run)["one"] == r"a \u0000 in words"


def test_a_flow_runs_no_more_than_it_may_and_the_next_begins_when_one_ends() -> None:
    flow = make_flow(a_map("one", 1), queue={"mode": "one_at_a_time"})
    first, second = start(flow), start(flow)
    assert second.admitted_at is None and work(second).status == "queued"

    assert drain(first).status == "succeeded"
    assert fresh(second).admitted_at is not None
    assert drain(second).status == "succeeded"


def test_a_worker_that_lost_its_lease_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_flow(a_map("one", 1), a_map("two", 2)))
    original = HANDLERS["map"]

    def handler(turn: Any) -> Any:
        FlowRun.objects.filter(pk=turn.run.pk).update(fence=turn.lease.fence + 1)
        return original(turn)

    monkeypatch.setitem(HANDLERS, "map", handler)
    run = work(run)

    assert (run.status, run.finished_at, statuses_of(run)) == ("running", None, {})


def test_a_run_of_an_ended_connection_fails(erp_connector: Any, erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    run = start(make_flow(a_map("one", 1), erp=connection))
    connection.health = "disconnected"
    connection.save(update_fields=["health"])
    run = work(run)

    assert (run.status, run.error["code"]) == ("failed", "CONNECTION_DISCONNECTED")
    assert statuses_of(run) == {}


def test_expressions_see_the_bound_connections(erp_connector: Any, erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    run = run_flow(a_map("one", {"$": "connections.erp"}), erp=connection)

    assert outputs_of(run)["one"] == {"id": f"con_{connection.pk.hex}", "system": "test-erp"}


def test_a_version_that_this_release_cannot_read_fails_the_run() -> None:
    run = start(make_flow(a_map("one", 1)))
    version = version_of(run)
    version.definition = {**version.definition, "steps": [{"do": "dance", "name": "x"}]}
    version.save()
    run = work(run)

    assert (run.status, run.error["code"]) == ("failed", "DEFINITION_INVALID")


def test_types_of_events_of_flows_are_their_own() -> None:
    for wrong in ("record.updated", "custom", "custom.*", "custom.X"):
        with pytest.raises(ValueError, match="no type"):
            emit_custom(wrong, data={})
