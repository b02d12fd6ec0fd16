"""Following: each event starts its runs once, whoever looks and whoever is killed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.services import disconnect_connection
from core import hints, ids
from core.errors import BugError
from core.ids import new_id
from flows.models import Flow, FlowRun, StepRun
from flows.services import following, judging
from flows.services.editing import pause, resume
from flows.services.following import follow, follow_next
from flows.services.judging import judge
from flows.ticks import hint_followers
from syncs.models import Record
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_triggers import change, fresh, make_flow, republish, runs_of, told_of
from tests.syncing import run_sync, sync_of
from tests.tenants import emit_now, make_workspace
from workspaces.choices import EventType
from workspaces.models import AuditEvent, Event, Feed

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]
COMPLETED = {"on": "event", "types": ["sync.completed"]}
RECORDS = {"on": "event", "types": ["record.created", "record.updated", "record.deleted"]}


def emit(workspace: Any, **facts: Any) -> str:
    """The shown id of the event."""
    event_id = emit_now(workspace, environment="test", **{"data": {"run": "run_1", "entity": "vendor"}, **facts})
    return str(ids.show("evt", event_id))


def emit_custom(workspace: Any, type: str, **facts: Any) -> str:
    return emit(workspace, type=type, **facts)


def events_of(flow: Flow) -> list[str]:
    return [run.input["event"]["id"] for run in runs_of(flow)]


def names(rows: Sequence[FlowRun]) -> list[str]:
    return [run.input["record"]["name"] for run in rows]


# --- which events -----------------------------------------------------------------------------------------------------


def test_event_of_the_feed_starts_a_run_that_holds_it() -> None:
    flow = make_flow(COMPLETED)
    other, live = make_flow(COMPLETED), make_flow(COMPLETED, workspace=flow.workspace, environment="live")
    event = emit(flow.workspace)
    emit(flow.workspace, type=EventType.SYNC_FAILED)
    for one in (flow, other, live):
        follow(one.pk)

    (run,) = runs_of(flow)
    assert (run.trigger, run.key, run.triggered_by) == ("event", f"event:{event}", f"event {event}")
    assert (run.position, run.depth, run.origin_flow_ids) == (1, 0, [])
    assert run.input["event"]["id"] == event and run.input["record"] is None
    assert run.input["at"] == run.input["event"]["timestamp"]
    assert fresh(flow).position == 2
    assert runs_of(other) == runs_of(live) == []


def test_looking_again_starts_nothing_twice() -> None:
    flow = make_flow(COMPLETED)
    made = [emit(flow.workspace) for _ in range(3)]
    assert follow(flow.pk) == 1
    assert follow(flow.pk) == 0
    change(flow, position=0)
    follow(flow.pk)
    assert events_of(flow) == made


def test_events_before_it_was_published_start_nothing() -> None:
    workspace = make_workspace()
    emit(workspace)
    flow = make_flow(COMPLETED, workspace=workspace)
    after = emit(workspace)
    follow(flow.pk)
    assert events_of(flow) == [after]


def test_custom_types_are_named_one_by_one_or_all() -> None:
    workspace = make_workspace()
    one = make_flow({"on": "event", "types": ["custom.order.late"]}, workspace=workspace)
    every = make_flow({"on": "event", "types": ["custom.*"]}, workspace=workspace)
    made = [emit_custom(workspace, type) for type in ("custom.order.late", "custom.order.later", "custom.stock")]
    emit(workspace)
    follow(one.pk), follow(every.pk)
    assert (events_of(one), events_of(every)) == (made[:1], made)


def test_connections_and_entities_limit_what_starts_runs(erp_server: TestErpServer) -> None:
    bound = connect(erp_server, environment="test")
    other = connect(erp_server, environment="test", workspace=bound.workspace)
    facts: Any = {"workspace": bound.workspace, "erp": bound}
    by_connection = make_flow({**COMPLETED, "connections": ["erp"]}, **facts)
    by_entity = make_flow({**COMPLETED, "types": ["sync.completed", "issue.opened"], "entities": ["vendor"]}, **facts)
    first = emit(bound.workspace, connection_id=bound.pk)
    second = emit(bound.workspace, connection_id=other.pk)
    emit(bound.workspace, connection_id=other.pk, data={"run": "run_1", "entity": "purchase_order"})
    without = emit(bound.workspace, type=EventType.ISSUE_OPENED, data={"issue": "iss_1"})
    follow(by_connection.pk), follow(by_entity.pk)
    assert events_of(by_connection) == [first]
    assert events_of(by_entity) == [first, second, without]


def test_connection_of_the_trigger_is_of_the_slots_system(erp_server: TestErpServer) -> None:
    mine = connect(erp_server, environment="test")
    facts: Any = {"workspace": mine.workspace}
    any_system = make_flow(COMPLETED, connections={"it": {"of_trigger": True}}, **facts)
    of_system = make_flow(COMPLETED, connections={"it": {"of_trigger": True, "system": mine.system}}, **facts)
    of_other = make_flow(COMPLETED, connections={"it": {"of_trigger": True, "system": "tryton"}}, **facts)
    event = emit(mine.workspace, connection_id=mine.pk)
    emit(mine.workspace)  # of no connection
    for flow in (any_system, of_system, of_other):
        follow(flow.pk)
    assert (events_of(any_system), events_of(of_system), events_of(of_other)) == ([event], [event], [])
    assert runs_of(any_system)[0].connection_ids == [mine.pk]


def test_first_syncs_of_a_customer_with_many_records_start_nothing() -> None:
    workspace = make_workspace()
    flow, eager = (
        make_flow(RECORDS, workspace=workspace),
        make_flow({**RECORDS, "include_initial": True}, workspace=workspace),
    )
    shown = [f"ven_{uuid4().hex}" for _ in range(100)]
    for _ in range(100):  # 10,000 records
        emit(
            workspace,
            type=EventType.RECORD_CREATED,
            data={"entity": "vendor", "ids": shown},
            reason="initial",
            connection_id=new_id(),
        )
    follow(flow.pk)
    assert runs_of(flow) == [] and fresh(flow).position == 100
    follow_next(eager.pk)
    assert len(runs_of(eager)) == 1_000


def test_remapped_records_start_nothing_unless_told() -> None:
    workspace = make_workspace()
    flow, told = (
        make_flow(RECORDS, workspace=workspace),
        make_flow({**RECORDS, "include_remap": True}, workspace=workspace),
    )
    data = {"entity": "vendor", "ids": [f"ven_{uuid4().hex}"]}
    emit(workspace, type=EventType.RECORD_UPDATED, data=data, reason="remap", connection_id=new_id())
    follow(flow.pk), follow(told.pk)
    assert (len(runs_of(flow)), len(runs_of(told))) == (0, 1)


# --- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_record_events_start_a_run_for_each_record_with_the_record_in_it(
    erp_connector: Any, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, environment="test")
    erp_server.add_vendors(3)
    sync = sync_of(connection, "vendor")
    run_sync(sync, "initial")
    flow = make_flow({**RECORDS, "entities": ["vendor"]}, workspace=connection.workspace)
    erp_server.add_vendors(2, first=4)
    run_sync(sync)
    follow(flow.pk)

    runs = runs_of(flow)
    assert len(runs) == 2
    for run in runs:
        record, data = run.input["record"], run.input["event"]["data"]
        assert data["ids"] == [record["id"]]
        assert run.key == f"record:{record['id']}:{record['version']}"
        assert record["changed_at"] and record["deleted_at"] is None
        assert run.connection_ids == [connection.pk]


@pytest.mark.django_db(transaction=True)
def test_filter_sees_the_record_as_it_is_now(erp_connector: Any, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, environment="test")
    sync = sync_of(connection, "vendor")
    run_sync(sync, "initial")
    told = "contains(['Vendor 2', 'Vendor 4'], trigger.record.name) && trigger.event.type == 'record.created'"
    flow = make_flow({**RECORDS, "filter": told}, workspace=connection.workspace)
    erp_server.add_vendors(4)
    run_sync(sync)
    with scopes_disabled():
        Record.objects.filter(remote_id="4").delete()  # forgotten before somebody looks
    follow(flow.pk)
    assert names(runs_of(flow)) == ["Vendor 2"]


@pytest.mark.django_db(transaction=True)
def test_record_that_was_deleted_is_shown_to_events_that_tell_so(erp_connector: Any, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, environment="test")
    sync = sync_of(connection, "vendor")
    erp_server.add_vendors(20)
    run_sync(sync, "initial")
    flow = make_flow({**RECORDS, "types": ["record.deleted"]}, workspace=connection.workspace)
    erp_server.delete("vendors", "2")
    run_sync(sync, "full")
    follow(flow.pk)
    (run,) = runs_of(flow)
    assert run.input["record"]["name"] == "Vendor 2" and run.input["record"]["deleted_at"]


def test_record_that_is_gone_is_null_and_each_event_about_it_counts() -> None:
    workspace = make_workspace()
    flow = make_flow(RECORDS, workspace=workspace)
    shown = f"ven_{uuid4().hex}"
    data = {"entity": "vendor", "ids": [shown]}
    made = [emit(workspace, type=EventType.RECORD_UPDATED, data=data, connection_id=new_id()) for _ in range(2)]
    follow(flow.pk)
    assert [run.key for run in runs_of(flow)] == [f"record:{shown}:{event}" for event in made]
    assert [run.input["record"] for run in runs_of(flow)] == [None, None]


def test_key_of_the_definition_starts_one_run_for_each_value() -> None:
    flow = make_flow(COMPLETED, key="trigger.event.data.run")
    for run in ("run_1", "run_2", "run_1"):
        emit(flow.workspace, data={"run": run})
    follow(flow.pk)
    emit(flow.workspace, data={"run": "run_2"})
    follow(flow.pk)
    assert [run.key for run in runs_of(flow)] == ["run_1", "run_2"]


# --- judged -----------------------------------------------------------------------------------------------------------


def test_filter_that_fails_is_told_and_the_event_passes_by_until_one_is_judged_well() -> None:
    flow = make_flow({**COMPLETED, "filter": "starts_with(trigger.event.data.run, 'run')"})
    bad = emit(flow.workspace, data={"run": 7})
    follow(flow.pk)
    error = fresh(flow).trigger_error
    assert (error["event"], error["code"]) == (bad, "EXPRESSION_FAILED") and error["message"] and error["at"]
    assert runs_of(flow) == [] and fresh(flow).position == 1

    emit(flow.workspace, type=EventType.SYNC_FAILED)  # nobody asks for it
    follow(flow.pk)
    assert fresh(flow).trigger_error == error

    good = emit(flow.workspace)
    follow(flow.pk)
    assert events_of(flow) == [good] and fresh(flow).trigger_error is None


def test_key_that_fails_is_told_as_well() -> None:
    flow = make_flow(COMPLETED, key="join('-', trigger.event.data.run)")
    emit(flow.workspace)
    follow(flow.pk)
    assert runs_of(flow) == [] and fresh(flow).trigger_error["code"] == "EXPRESSION_FAILED"


def test_breakdown_of_ours_is_told_and_the_events_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow({**COMPLETED, "filter": "trigger.event"})
    event = emit(flow.workspace)

    def broken(*_: Any) -> Any:
        raise BugError("no helper")

    with monkeypatch.context() as patch:
        patch.setattr(judging, "matches", broken)
        assert follow(flow.pk) == 0
    assert fresh(flow).trigger_error["code"] == "INTERNAL_ERROR" and fresh(flow).position == 0
    follow(flow.pk)
    assert events_of(flow) == [event] and fresh(flow).trigger_error is None


# --- caused by flows --------------------------------------------------------------------------------------------------


def caused(flow: Flow, **facts: Any) -> FlowRun:
    with scope(workspace=flow.workspace_id):
        row = FlowRun(
            workspace_id=flow.workspace_id,
            environment=flow.environment,
            flow=flow,
            version=flow.version,
            trigger="manual",
            status="succeeded",
            **facts,
        )
        row.save(force_insert=True)
    return row


def test_own_events_start_nothing_unless_told_also_by_way_of_others() -> None:
    workspace = make_workspace()
    flow, loop = (
        make_flow(COMPLETED, workspace=workspace),
        make_flow({**COMPLETED, "include_own": True}, workspace=workspace),
    )
    own, through = caused(flow), caused(loop, origin_flow_ids=[flow.pk], depth=1)
    emit(workspace, origin_run=ids.show("frun", own.pk))
    emit(workspace, origin_run=ids.show("frun", through.pk))
    follow(flow.pk), follow(loop.pk)
    assert runs_of(flow) == [own]
    assert [(run.depth, run.origin_flow_ids) for run in runs_of(loop)[1:]] == [
        (1, [flow.pk]),
        (2, [flow.pk, loop.pk]),
    ]


def test_event_of_a_write_that_a_run_made_is_caused_by_the_run() -> None:
    workspace = make_workspace()
    writer, reader = make_flow(workspace=workspace), make_flow(COMPLETED, workspace=workspace)
    other = new_id()
    run, operation_id = caused(writer, depth=2, connection_ids=[other]), new_id()
    with scope(workspace=workspace.pk):
        StepRun(workspace=workspace, run=run, path="a", name="a", kind="create_record", operation_id=operation_id).save(
            force_insert=True
        )
    emit(workspace, origin_run=ids.show("op", operation_id))
    follow(reader.pk)
    (started,) = runs_of(reader)
    assert (started.depth, started.origin_flow_ids, started.connection_ids) == (3, [writer.pk], [other])


def test_flows_that_start_each_other_end_after_five() -> None:
    workspace = make_workspace()
    writer, reader = make_flow(workspace=workspace), make_flow(COMPLETED, workspace=workspace)
    for depth in (4, 5):
        emit(workspace, origin_run=ids.show("frun", caused(writer, depth=depth).pk))
    follow(reader.pk)
    assert [run.depth for run in runs_of(reader)] == [5]
    assert fresh(reader).trigger_error["code"] == "FLOW_TOO_DEEP"


# --- pauses, endings, holes -------------------------------------------------------------------------------------------


def test_paused_flow_stays_where_it_is_and_goes_on_from_the_end() -> None:
    flow = make_flow(COMPLETED)
    with scope(workspace=flow.workspace_id):
        pause(flow, by="tests")
    emit(flow.workspace)
    assert follow(flow.pk) == 0 and fresh(flow).position == 0
    assert hint_followers() == 0
    with scope(workspace=flow.workspace_id):
        resume(flow, by="tests")
    after = emit(flow.workspace)
    follow(flow.pk)
    assert events_of(flow) == [after]


def test_bound_connection_that_was_ended_then_events_pass_by(erp_server: TestErpServer) -> None:
    bound = connect(erp_server, environment="test")
    flow = make_flow(COMPLETED, workspace=bound.workspace, erp=bound)
    teller = make_flow({"on": "event", "types": ["connection.disconnected"]}, workspace=bound.workspace)
    emit(bound.workspace)
    with scope(workspace=bound.workspace_id):
        disconnect_connection(bound, by="tests")
    database.check_constraints()
    follow(flow.pk), follow(teller.pk)
    assert runs_of(flow) == [] and fresh(flow).position == fresh(teller).position
    assert len(runs_of(teller)) == 1


def test_events_whose_data_was_purged_start_nothing() -> None:
    flow = make_flow(COMPLETED)
    emit(flow.workspace, data={}, connection_id=new_id())
    follow(flow.pk)
    assert runs_of(flow) == []


def test_events_that_the_feed_forgot_are_told_to_the_audit_log() -> None:
    flow = make_flow(COMPLETED)
    made = [emit(flow.workspace) for _ in range(4)]
    with scopes_disabled():
        Event.objects.filter(position__lte=2).delete()
    follow(flow.pk)
    assert events_of(flow) == made[2:]
    with scopes_disabled():
        (missed,) = AuditEvent.objects.filter(action="flow.events_missed")
        assert (missed.details["after"], missed.details["upto"]) == (0, 2)

        emit(flow.workspace)
        Event.objects.all().delete()
    follow(flow.pk)
    assert fresh(flow).position == 5 and len(runs_of(flow)) == 2


def test_publishing_meanwhile_then_the_events_are_judged_by_the_new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow({**COMPLETED, "filter": "trigger.event.data.run == 'run_1'"})
    emit(flow.workspace)
    second = emit(flow.workspace, data={"run": "run_2"})
    right = judge

    def publish_first(*given: Any) -> Any:
        monkeypatch.setattr(following, "judge", right)
        republish(flow, trigger={**COMPLETED, "filter": "trigger.event.data.run == 'run_2'"})
        return right(*given)

    monkeypatch.setattr(following, "judge", publish_first)
    follow(flow.pk)
    assert events_of(flow) == [second]


def test_many_events_are_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(following, "POSITIONS_AT_ONCE", 3)
    flow = make_flow(COMPLETED)
    made = []
    for _ in range(4):
        made.append(emit(flow.workspace))
        emit(flow.workspace, type=EventType.SYNC_FAILED)
    assert follow(flow.pk) > 2
    assert events_of(flow) == made


# --- ticks and workers ------------------------------------------------------------------------------------------------


def test_tick_tells_a_worker_once_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(hints, "publish", told_of(told))
    flow = make_flow(COMPLETED)
    assert hint_followers() == 0
    emit(flow.workspace)
    assert hint_followers() == 1 and hint_followers() == 0
    assert told == [("flows.follow", flow.pk, "flows")]
    follow(flow.pk)
    emit(flow.workspace)
    assert hint_followers() == 1


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_start_each_run_once() -> None:
    flow = make_flow({**COMPLETED, "filter": "trigger.event"})
    with transaction.atomic():
        made = [emit(flow.workspace) for _ in range(30)]
    barrier, trouble = threading.Barrier(3), []

    def work() -> None:
        try:
            barrier.wait(20)
            follow(flow.pk)
        except Exception as error:  # shown by the test
            trouble.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    follow(flow.pk)
    assert trouble == [] and events_of(flow) == made
    with scopes_disabled():
        assert fresh(flow).position == Feed.objects.get(workspace=flow.workspace, environment="test").position


class Killed(BaseException):
    """The worker ends at once, whatever it was at."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("point", ["judge", "insert_runs", "_tell_jump", "definition_of"])
def test_worker_that_is_killed_leaves_the_events_to_the_next(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow(COMPLETED)
    with transaction.atomic():
        made = [emit(flow.workspace) for _ in range(3)]
    with scopes_disabled():
        Event.objects.filter(position=1).delete()
    right = getattr(following, point)

    def killed(*given: Any) -> Any:
        right(*given)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(following, point, killed)
        with pytest.raises(Killed):
            follow(flow.pk)
    assert runs_of(flow) == [] and fresh(flow).position == 0
    follow(flow.pk)
    assert events_of(flow) == made[1:]
