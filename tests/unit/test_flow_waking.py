"""Waking: runs that wait for events or operations are due when these come; those of ended connections end."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.services import disconnect_connection
from core import hints
from core.ids import new_id
from flows.choices import TriggerKind
from flows.engine.admission import NOT_ADMITTED
from flows.models import Flow, FlowRun, WaitCursor
from flows.services import waking
from flows.ticks import hint_due_runs, stop_disconnected_runs, wake_waiting_runs
from syncs.models import Operation
from tests.chaos.processes import until
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_triggers import fresh, make_flow, runs_of, show, told_of
from tests.tenants import emit_now
from webhooks.services import clock

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]


def waiting(flow: Flow, waits_for: str, **facts: Any) -> FlowRun:
    with scope(workspace=flow.workspace_id):
        row = FlowRun(
            workspace_id=flow.workspace_id,
            environment=flow.environment,
            flow=flow,
            version=flow.version,
            trigger=TriggerKind.MANUAL,
            waits_for=waits_for,
            **{"status": "waiting", "due_at": NOT_ADMITTED, "admitted_at": clock.now(), **facts},
        )
        row.save(force_insert=True)
    return row


def watch(flow: Flow, position: int = 0) -> WaitCursor:
    with scope(workspace=flow.workspace_id):
        return WaitCursor.objects.create(workspace=flow.workspace, environment=flow.environment, position=position)


def emit(flow: Flow, type: Any = "custom.order.late") -> None:
    emit_now(flow.workspace, environment=flow.environment, type=type)


def is_due(run: FlowRun) -> bool:
    return bool(fresh(run).due_at <= clock.now())


def test_event_wakes_the_runs_that_wait_for_its_type() -> None:
    flow = make_flow()
    named = waiting(flow, "event", wait_types=["sync.failed", "custom.order.late"])
    every = waiting(flow, "event", wait_types=["custom.*"])
    other = waiting(flow, "event", wait_types=["custom.order.later", "sync.failed"])
    cursor = watch(flow)
    emit(flow)
    assert wake_waiting_runs() == 2
    assert [is_due(run) for run in (named, every, other)] == [True, True, False]
    assert fresh(cursor).position == 1
    assert fresh(named).status == "waiting"  # a worker claims it
    assert wake_waiting_runs() == 0


def test_other_feeds_wake_nobody() -> None:
    flow, other = make_flow(), make_flow()
    live = make_flow(workspace=flow.workspace, environment="live")
    run = waiting(flow, "event", wait_types=["custom.order.late"])
    for one in (flow, other, live):
        watch(one)
    emit(other)
    emit(live)
    assert wake_waiting_runs() == 0 and not is_due(run)


def test_feed_for_which_nobody_waits_is_passed_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "POSITIONS_AT_ONCE", 1)
    flow, cursor = make_flow(), None
    cursor = watch(flow)
    for _ in range(3):
        emit(flow)
    assert waking.wake_next_feed() == 0
    assert fresh(cursor).position == 3


def test_long_feed_is_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "POSITIONS_AT_ONCE", 2)
    flow = make_flow()
    run, cursor = waiting(flow, "event", wait_types=["custom.last"]), watch(flow)
    for type in ("custom.a", "custom.b", "custom.last"):
        emit(flow, type)
    assert waking.wake_next_feed() == 0 and fresh(cursor).position == 2
    assert waking.wake_next_feed() == 1 and is_due(run)
    assert waking.wake_next_feed() is None


@pytest.mark.parametrize(
    ("status", "wakes"),
    [("succeeded", True), ("failed", True), ("needs_review", False), ("unknown", False), (None, True)],
)
def test_operation_that_has_ended_wakes_the_run_that_waits_for_it(
    status: str | None, wakes: bool, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, environment="test")
    flow = make_flow(workspace=connection.workspace)
    pk = new_id()
    if status is not None:
        facts = {"workspace": connection.workspace, "connection": connection, "entity": "vendor", "kind": "create"}
        with scope(workspace=connection.workspace_id):
            Operation(pk=pk, status=status, **facts).save(force_insert=True)
    run = waiting(flow, "operation", wait_operation_id=pk)
    assert wake_waiting_runs() == int(wakes)
    assert is_due(run) is wakes
    assert wake_waiting_runs() == 0


def test_time_that_has_come_is_told_to_workers_until_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(hints, "publish", told_of(told))
    flow = make_flow()
    due = [waiting(flow, "time", due_at=clock.now() - timedelta(seconds=1)) for _ in range(3)]
    waiting(flow, "time", due_at=clock.now() + timedelta(hours=1))
    monkeypatch.setattr("flows.ticks.BATCH", 2)
    assert hint_due_runs() == 3
    assert {pk for _, pk, _ in told} == {run.pk for run in due}
    assert {(task, queue) for task, _, queue in told} == {("flows.execute_run", "flows")}
    assert hint_due_runs() == 0


@pytest.mark.django_db(transaction=True)
def test_cursor_that_a_run_holds_is_passed_by_and_a_run_that_somebody_was_refused_is_woken() -> None:
    """Who was refused had locked the run and left it as it was: the event must not go past it meanwhile."""
    flow = make_flow()
    run, cursor = waiting(flow, "event", wait_types=["custom.*"]), watch(flow)
    with transaction.atomic():
        emit(flow)

    def look(found: list[Any]) -> None:
        try:
            with database.cursor() as session:
                session.execute("SET lock_timeout = '5s'")
            found.append(waking.wake_next_feed())
        finally:
            database.close()

    def begun() -> tuple[threading.Thread, list[Any]]:
        found: list[Any] = []
        thread = threading.Thread(target=look, args=[found])
        thread.start()
        return thread, found

    with scopes_disabled():
        with transaction.atomic():
            with database.cursor() as session:
                session.execute("SELECT 1 FROM flows_waitcursor WHERE id = %s FOR SHARE", [cursor.pk])
            thread, found = begun()
            thread.join(20)
            assert found == [None]
        with transaction.atomic():
            FlowRun.objects.select_for_update().get(pk=run.pk)
            thread, found = begun()
            until(somebody_waits, seconds=10, what="the tick waits for the run")
            assert found == []
        thread.join(20)
        assert found == [1] and is_due(run)


def somebody_waits() -> bool:
    with database.cursor() as session:
        session.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first
        session.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')")
        return bool(session.fetchone()[0])


# --- ended connections ------------------------------------------------------------------------------------------------


def test_runs_that_work_on_an_ended_connection_fail_and_make_room(erp_server: TestErpServer) -> None:
    bound = connect(erp_server, environment="test")
    source = connect(erp_server, environment="test", workspace=bound.workspace)
    facts: Any = {"workspace": bound.workspace}
    flow = make_flow(erp=bound, **facts)
    by_trigger = make_flow(
        {"on": "event", "types": ["sync.completed"]}, connections={"it": {"of_trigger": True}}, **facts
    )
    teller = make_flow({"on": "event", "types": ["connection.disconnected"]}, **facts)
    of_event = {"kind": "event", "event": {"connection": show(source)}}
    one = waiting(flow, "operation", connection_ids=[bound.pk], current_step="send")
    queued = waiting(flow, "", status="queued", connection_ids=[bound.pk], admitted_at=None)
    two = waiting(by_trigger, "time", connection_ids=[source.pk], input=of_event)
    told = waiting(teller, "time", connection_ids=[source.pk], input=of_event)
    busy = waiting(flow, "", status="running", connection_ids=[bound.pk])
    assert stop_disconnected_runs() == 0

    with scope(workspace=bound.workspace_id):
        disconnect_connection(bound, by="tests")
    assert stop_disconnected_runs() == 2
    for run in (one, queued):
        assert fresh(run).status == "failed" and fresh(run).finished_at is not None
    assert fresh(one).error["code"] == "CONNECTION_DISCONNECTED" and fresh(one).error["step"] == "send"
    assert bound.name in fresh(one).error["message"]
    assert fresh(two).status == "waiting" and fresh(busy).status == "running"

    with scope(workspace=bound.workspace_id):
        disconnect_connection(source, by="tests")
    assert stop_disconnected_runs() == 1
    assert (fresh(two).status, fresh(told).status) == ("failed", "waiting")
    assert len(runs_of(flow)) == 3
