"""Runs that wait: for a time, for an event, for an operation, for a person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from django_scopes import scope

from connections.models import Connection
from core.json import utc_text
from flows.engine import store
from flows.engine.run import execute_flow_run
from flows.models import FlowRun, WaitCursor
from flows.services import waking
from flows.services.controlling import cancel_run
from tests.connectors import TestErpServer, erp_connector, erp_server  # noqa: F401
from tests.flow_stage import (
    drain,
    fresh,
    let_pass,
    make_flow,
    number_events,
    outputs_of,
    run_flow,
    start,
    statuses_of,
    steps_of,
    work,
)
from tests.tenants import emit_now
from tests.writes_stage import connection, po, writes_to  # noqa: F401
from workspaces.choices import EventType
from workspaces.events import emit_custom
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]
AFTER = {"name": "after", "do": "map", "value": {"$": "steps.pause"}}


def a_wait(**how: Any) -> dict[str, Any]:
    return {"name": "pause", "do": "wait", **how}


def for_event(*types: str, **rest: Any) -> dict[str, Any]:
    return a_wait(event={"types": list(types) or ["custom.go"], **rest})


def tell(run: FlowRun, type: str = "custom.go", **data: Any) -> None:
    emit_custom(type, data=data, workspace_id=run.workspace_id, environment=run.environment)
    number_events()


def test_a_wait_for_a_while_holds_no_worker() -> None:
    run = run_flow(a_wait(seconds=60), AFTER)
    assert (run.status, run.waits_for, run.current_step, run.lease_until) == ("waiting", "time", "pause", None)
    assert 55 < (run.due_at - timezone.now()).total_seconds() < 61
    assert work(run).fence == run.fence  # not due

    let_pass(run, 61)
    run = drain(run)
    assert (run.status, run.waits_for) == ("succeeded", "")
    assert outputs_of(run)["after"]["timed_out"] is False


def test_a_wait_until_a_time_that_is_past_passes() -> None:
    run = run_flow(a_wait(until={"$": "trigger.body"}), body="2020-01-01T00:00:00Z")
    assert run.status == "succeeded"


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ({"seconds": {"$": "trigger.body"}}, "soon"),
        ({"seconds": {"$": "trigger.body"}}, None),
        ({"seconds": {"$": "trigger.body"}}, -1),
        ({"until": {"$": "trigger.body"}}, "tomorrow"),
        ({"until": {"$": "trigger.body"}}, "2026-03-01T08:00:00"),
        ({"until": {"$": "trigger.body"}}, "2090-03-01T08:00:00Z"),
    ],
)
def test_what_is_no_time_is_a_clear_error(how: dict[str, Any], body: Any) -> None:
    run = run_flow(a_wait(**how), body=body)
    assert (run.status, run.error["code"]) == ("failed", "INVALID_WAIT")


def test_waits_of_dry_runs_pass_at_once() -> None:
    until = utc_text(timezone.now() + timedelta(days=1))
    run = run_flow(a_wait(seconds=60), {**a_wait(until=until), "name": "b"}, {**for_event(), "name": "c"}, is_dry=True)
    assert run.status == "succeeded", run.error


def test_an_event_wakes_the_run_that_waits_for_it() -> None:
    run = run_flow(for_event("custom.*", filter="event.data.n == `2`"), AFTER)
    assert (run.status, run.waits_for, run.wait_types) == ("waiting", "event", ["custom.*"])

    tell(run, n=1)
    run = drain(run)
    assert run.status == "waiting"
    tell(run, "custom.other", n=2)
    run = drain(run)

    assert run.status == "succeeded"
    seen = outputs_of(run)["after"]
    assert (seen["event"]["data"], seen["event"]["type"], seen["timed_out"]) == ({"n": 2}, "custom.other", False)
    assert run.position == seen["event"]["position"]


def test_an_event_between_the_start_and_the_wait_is_not_missed() -> None:
    run = start(make_flow(for_event()))
    tell(run)
    assert drain(run).status == "succeeded"


def test_an_event_before_the_start_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow(for_event())
    emit_custom("custom.go", data={}, workspace_id=flow.workspace_id, environment="live")
    number_events()
    assert drain(start(flow)).status == "waiting"


def test_an_event_between_the_look_and_the_wait_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick has moved the cursor over it before the run was seen to wait."""
    run = start(make_flow(for_event()))
    original = store.wait
    told: list[int] = []

    def late(held: Any, row: Any, later: Any) -> bool:
        if not told:
            tell(run)
            WaitCursor.objects.update_or_create(
                workspace_id=run.workspace_id, environment=run.environment, defaults={"position": 10_000}
            )
            told.append(later.position)
        return original(held, row, later)

    monkeypatch.setattr(store, "wait", late)
    run = work(run)

    assert (run.status, told) == ("succeeded", [0])


def test_each_wait_takes_the_next_event() -> None:
    run = start(make_flow(for_event(), {**for_event(), "name": "second"}))
    tell(run, n=1)
    run = drain(run)
    assert run.status == "waiting"
    tell(run, n=2)
    run = drain(run)

    assert [outputs_of(run)[name]["event"]["data"]["n"] for name in ("pause", "second")] == [1, 2]


@pytest.mark.parametrize(("then", "status"), [("fail", "failed"), ("continue", "succeeded")])
def test_an_event_that_does_not_come_times_out(then: str, status: str) -> None:
    run = run_flow(for_event(timeout_seconds=60, on_timeout=then, filter="length(event.data.n) > `0`"))
    tell(run, n=5)
    assert drain(run).status == "waiting"
    let_pass(run, 61)
    run = drain(run)

    assert run.status == status
    if then == "continue":
        assert outputs_of(run)["pause"]["timed_out"] is True
    else:
        assert run.error["code"] == "WAIT_TIMED_OUT" and "gives no value" in run.error["message"]


def test_events_are_chosen_by_connection_and_entity(connection: Connection) -> None:
    chosen = for_event("record.updated", connections=["erp"], entities=["purchase_order"])
    run = run_flow(chosen, erp=connection)
    for entity, of in (("vendor", connection.pk), ("purchase_order", None), ("purchase_order", connection.pk)):
        assert fresh(run).status == "waiting"
        emit_now(
            connection.workspace, type=EventType.RECORD_UPDATED, connection_id=of, data={"entity": entity, "ids": []}
        )
        drain(run)

    assert fresh(run).status == "succeeded"


def test_many_events_are_looked_at_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.handlers.awaiting.PAGE", 3)
    run = start(make_flow(for_event(filter="event.data.n == `9`")))
    for n in range(10):
        tell(run, n=n)
    assert drain(run).status == "succeeded"


def test_a_long_look_gives_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.handlers.awaiting.PAGE", 3)
    monkeypatch.setattr("flows.engine.handlers.awaiting.SCAN_SECONDS", 0.0)
    run = start(make_flow(for_event(filter="event.data.n == `9`")))
    for n in range(10):
        tell(run, n=n)
    assert work(run).status == "waiting"
    run = drain(run)
    assert run.status == "succeeded" and run.fence > 2


def test_a_write_is_waited_for_without_a_worker(connection: Connection, erp_server: TestErpServer) -> None:
    create = {
        "name": "pause",
        "do": "create_record",
        "connection": "erp",
        "entity": "purchase_order",
        "body": {"vendor": "7", "lines": [{"quantity": "8", "unit": "EA", "description": "Seal"}]},
    }
    run = start(make_flow(create, AFTER, erp=connection))
    run = drain(run, operations=False)
    assert (run.status, run.waits_for) == ("waiting", "operation")
    assert steps_of(run)["pause"].operation_id == run.wait_operation_id and steps_of(run)["pause"].has_begun

    run = drain(run)
    assert run.status == "succeeded", run.error
    assert outputs_of(run)["after"]["status"] == "succeeded"
    assert len(writes_to(erp_server)) == 1


def test_a_cancelled_run_names_the_write_that_goes_on(connection: Connection) -> None:
    delete = {
        "name": "gone",
        "do": "delete_record",
        "connection": "erp",
        "entity": "purchase_order",
        "id": {"$": "trigger.body"},
    }
    run = drain(start(make_flow(delete, erp=connection), po(connection)), operations=False)
    with scope(workspace=run.workspace_id):
        cancel_run(run, by="tests")

    assert fresh(run).status == "cancelled"
    step = steps_of(run)["gone"]
    assert (step.status, step.error["code"]) == ("failed", "CANCELLED")
    assert f"op_{step.operation_id.hex}" in step.error["message"]


def test_a_wait_within_an_item_goes_on_with_it() -> None:
    each = {
        "name": "each",
        "do": "for_each",
        "items": "trigger.body",
        "steps": [a_wait(seconds=60), {"name": "it", "do": "map", "value": {"$": "item"}}],
    }
    run = drain(start(make_flow(each), [1, 2]))
    assert run.current_step == "each[0].pause"
    let_pass(run, 61)
    run = drain(run)
    assert (run.status, run.current_step) == ("waiting", "each[1].pause")
    let_pass(run, 61)
    run = drain(run)

    assert run.status == "succeeded"
    assert [item["output"] for item in outputs_of(run)["each"]["items"]] == [1, 2]


def test_feeds_of_other_workspaces_wake_nothing() -> None:
    run = run_flow(for_event())
    other = Workspace(name="Other", slug="other-feed")
    other.save(force_insert=True)
    emit_custom("custom.go", data={}, workspace_id=other.pk, environment="live")
    emit_custom("custom.go", data={}, workspace_id=run.workspace_id, environment="test")
    number_events()

    assert drain(run).status == "waiting"
    assert statuses_of(run) == {"pause": "waiting"}


@pytest.mark.django_db(transaction=True)
def test_no_event_is_missed_by_runs_that_begin_to_wait_while_it_comes() -> None:
    """Workers, the tick and who tells of the event, each in a transaction of its own, all at once."""
    flow = make_flow(for_event(), queue={"mode": "parallel", "limit": 20})
    runs = [start(flow) for _ in range(12)]
    begun = threading.Barrier(3, timeout=30)

    def worker(mine: list[FlowRun]) -> None:
        begun.wait()
        for run in mine:
            execute_flow_run(run.pk)

    def teller() -> None:
        begun.wait()
        for _ in range(12):
            with transaction.atomic():
                emit_custom("custom.go", data={}, workspace_id=flow.workspace_id, environment="live")
            waking.wake_behind_events(seconds=0)

    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(_closing, worker, runs[:6]),
            pool.submit(_closing, worker, runs[6:]),
            pool.submit(_closing, teller),
        ]
        for job in jobs:
            job.result(timeout=60)
    # One more event, for those that began to wait after the last: whoever is left then has missed one.
    with transaction.atomic():
        emit_custom("custom.go", data={}, workspace_id=flow.workspace_id, environment="live")

    assert {drain(run).status for run in runs} == {"succeeded"}


def _closing(work: Callable[..., None], *args: Any) -> None:
    try:
        work(*args)
    finally:
        database.close()
