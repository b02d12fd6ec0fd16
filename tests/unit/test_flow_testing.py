"""Trying out: a step alone, a whole flow; nothing is sent, and a live run then gives the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core.errors import ConflictError, LineshaftError, NotFoundError, ValidationFailedError
from flows.models import Flow, FlowRun, FlowVersion, StepRun
from flows.services.editing import change_flow
from flows.services.testing import StepTest, dry_run
from flows.services.testing import test_step as try_step
from syncs.models import Operation
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.flow_stage import drain, make_flow, outputs_of, publish, start, statuses_of, steps_of
from tests.http_peer import always, message, peer
from tests.syncing import run_sync, sync_of
from tests.writes_stage import po, writes_to
from tests.writing import writing_erp  # noqa: F401
from workspaces.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]
ORDERS: dict[str, Any] = {"connection": "erp", "entity": "purchase_order"}
MOVED = ("changed_at", "version", "remote_updated_at")


@pytest.fixture
def plant(erp_server: TestErpServer) -> Connection:
    """Two drafts in the copy; the system is asked nothing more."""
    found = connect(erp_server, environment="test")
    erp_server.add_orders(2, first=1, status="draft")
    assert run_sync(sync_of(found)).status == "completed"
    erp_server.forget_calls()
    return found


def flow_with(plant: Connection, *steps: Any, **facts: Any) -> Flow:
    return make_flow(*steps, environment="test", erp=plant, **facts)


def tried(flow: Flow, name: str, use: Any = "published", **given: Any) -> StepTest:
    return try_step(flow, name, given, use=use)


def counts() -> tuple[int, ...]:
    with scopes_disabled():
        return tuple(kind.objects.count() for kind in (FlowRun, StepRun, FlowVersion, Operation, Event))


def a_map(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "do": "map", "value": value, **more}


# --- one step ---------------------------------------------------------------------------------------------------------


def test_a_step_gives_in_a_live_run_what_it_gave_in_its_test(plant: Connection, erp_server: TestErpServer) -> None:
    steps: list[dict[str, Any]] = [
        {"name": "all", "do": "list_records", **ORDERS, "where": {"status": {"$": "trigger.body.status"}}},
        {"name": "one", "do": "get_record", **ORDERS, "remote_id": {"$": "trigger.body.number"}},
        a_map("notes", {"first": {"$": "steps.all.records[0].number"}, "n": {"$": "steps.all.count"}}),
        {"name": "some", "do": "condition", "if": "steps.all.count > `1`", "then": [a_map("yes", 1)]},
        {
            "name": "put",
            "do": "update_record",
            **ORDERS,
            "id": {"$": "steps.one.record.id"},
            "body": {"notes": {"$": "join(' ', ['Gate', steps.notes.first])"}},
        },
    ]
    flow = flow_with(plant, *steps)
    body = {"status": "draft", "number": "1"}
    trigger = {"kind": "manual", "at": "2026-03-01T08:00:00Z", "body": body}
    before = counts()
    outputs: dict[str, Any] = {}
    tests = {}
    for step in steps:
        tests[step["name"]] = found = tried(flow, step["name"], trigger=trigger, steps=outputs)
        assert found.error is None, found.error
        outputs[step["name"]] = found.output
    assert (erp_server.calls, counts()) == ([], before)

    run = drain(start(flow, body))
    assert run.status == "succeeded", run.error
    live, rows = outputs_of(run), steps_of(run)
    for name in ("all", "one", "notes", "some"):
        assert live[name] == outputs[name], name
        assert rows[name].input == tests[name].input, name
    assert live["some"] == {"result": True}
    assert rows["put"].input == tests["put"].input
    assert live["put"]["diff"] == outputs["put"]["diff"]
    assert (outputs["put"]["status"], outputs["put"]["operation"]) == ("planned", None)
    for name, value in live["put"]["record"].items():
        if name not in MOVED:
            assert outputs["put"]["record"][name] == value, name
    assert writes_to(erp_server) == ["PATCH /orders/1"]


def test_a_request_is_shown_and_not_sent(plant: Connection, settings: Any) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with peer(always(message())) as server:
        ask = {"name": "ask", "do": "http_request", "method": "POST", "url": server.url("/in"), "body": {"n": 1}}
        found = tried(flow_with(plant, ask), "ask")
        assert server.accepted == 0
    assert found.output["request"]["body"] == {"n": 1}
    assert found.call is None


def test_waits_tell_what_they_would_wait_for(plant: Connection) -> None:
    flow = flow_with(
        plant,
        {"name": "while", "do": "wait", "seconds": 60},
        {"name": "past", "do": "wait", "until": "2020-01-01T00:00:00Z"},
        {"name": "wrong", "do": "wait", "until": {"$": "trigger.when"}},
        {
            "name": "event",
            "do": "wait",
            "event": {"types": ["record.updated"], "connections": ["erp"], "filter": "event.data.ids"},
        },
    )
    assert tried(flow, "while").output["waits_for"] == "time"
    assert tried(flow, "past").output == {"waits_for": None, "until": None}
    error = tried(flow, "wrong", trigger={"when": "soon"}).error
    assert error is not None
    assert (error["code"], error["step"]) == ("INVALID_WAIT", "wrong")
    waited = tried(flow, "event").output
    assert (waited["waits_for"], waited["event"]["connections"]) == ("event", ["Plant 1"])
    assert waited["event"]["types"] == ["record.updated"]


def test_a_for_each_tells_its_items_and_steps_inside_see_one(plant: Connection) -> None:
    each = {
        "name": "each",
        "do": "for_each",
        "items": "trigger.body",
        "steps": [a_map("twice", {"$": "join('-', [item.id, item.id])"})],
    }
    flow = flow_with(plant, each)
    found = tried(flow, "each", trigger={"body": [{"id": "a"}, {"id": "a"}, 7]})
    assert (found.input, found.output) == ({"count": 3}, {"count": 3, "keys": ["a", "a#2", "2"]})
    assert tried(flow, "twice", item={"id": "b"}, index=0).output == "b-b"
    error = tried(flow, "each", trigger={"body": 5}).error
    assert error is not None
    assert error["code"] == "ITEMS_NOT_A_LIST"


def test_emit_and_stop_only_tell(plant: Connection) -> None:
    flow = flow_with(
        plant,
        {"name": "tell", "do": "emit", "type": "custom.low", "data": {"n": 1}},
        {"name": "end", "do": "stop", "outcome": "failed", "message": "No more"},
    )
    before = counts()
    assert tried(flow, "tell").output == {"event": None, "type": "custom.low", "data": {"n": 1}}
    assert tried(flow, "end").output == {"outcome": "failed", "message": "No more"}
    assert counts() == before


def test_what_a_step_sees_besides(plant: Connection) -> None:
    flow = flow_with(
        plant,
        a_map("seen", {"run": {"$": "run"}, "erp": {"$": "connections.erp"}, "kind": {"$": "trigger.kind"}}),
        a_map("never", 1, when="trigger.body.x"),
        a_map("bad", 1, on_error={"steps": [a_map("told", {"$": "error.code"})]}),
        example={"body": {"x": False}},
    )
    seen = tried(flow, "seen").output
    assert seen["erp"] == {"id": f"con_{plant.pk.hex}", "system": "test-erp"}
    assert (seen["kind"], seen["run"]["version"]) == ("manual", 1)
    assert replace(tried(flow, "never"), elapsed_ms=0) == StepTest(is_skipped=True)
    assert tried(flow, "never", trigger={"body": {"x": True}}).output == 1
    assert tried(flow, "told", error={"code": "E"}).output == "E"


@pytest.mark.parametrize(
    ("given", "at"),
    [({"colour": 1}, "/input/colour"), ({"steps": []}, "/input/steps"), ({"trigger": 5}, "/input/trigger")],
)
def test_another_input_is_refused(plant: Connection, given: Any, at: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        tried(flow_with(plant, a_map("one", 1)), "one", **given)
    assert [error.pointer for error in caught.value.errors] == [at]


def test_a_draft_is_tried_before_it_is_published(plant: Connection) -> None:
    flow = flow_with(plant, a_map("one", 1))
    with scope(workspace=flow.workspace_id):
        flow = change_flow(flow, definition={**flow.draft, "steps": [a_map("two", 2)]}, by="tests")
    assert tried(flow, "two", use="draft").output == 2
    for name, use in (("two", "published"), ("one", "draft")):
        with pytest.raises(NotFoundError):
            tried(flow, name, use=use)
    unpublished = make_flow(a_map("one", 1), is_published=False)
    with pytest.raises(ConflictError) as caught:
        tried(unpublished, "one")
    assert caught.value.code == "FLOW_NOT_PUBLISHED"


def test_a_step_with_an_unbound_connection_says_so(plant: Connection) -> None:
    listing = {"name": "all", "do": "list_records", **ORDERS}
    flow = make_flow(listing, workspace=plant.workspace, connections={"erp": {}}, is_published=False)
    error = tried(flow, "all", use="draft").error
    assert error is not None
    assert error["code"] == "FLOW_NOT_BOUND"


# --- the whole flow ---------------------------------------------------------------------------------------------------


def dried(flow: Flow, given: Any = None, *, use: Any = "published", **facts: Any) -> FlowRun:
    return drain(dry_run(flow, given, by="ann", use=use, **facts).run)


def test_a_dry_run_goes_through_with_writes_as_diffs_and_touches_nothing(
    plant: Connection, erp_server: TestErpServer, settings: Any
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with peer(always(message())) as server:
        flow = flow_with(
            plant,
            {"name": "made", "do": "create_record", **ORDERS, "body": {"vendor": "7", "lines": [], "notes": "New"}},
            {"name": "go", "do": "act_on_record", **ORDERS, "id": {"$": "steps.made.record.id"}, "action": "approve"},
            {"name": "all", "do": "list_records", **ORDERS},
            {
                "name": "each",
                "do": "for_each",
                "items": "steps.all.records",
                "key": "item.remote_id",
                "delay_seconds": 60,
                "steps": [
                    {"name": "put", "do": "update_record", **ORDERS, "id": {"$": "item.id"}, "body": {"notes": "x"}}
                ],
            },
            {"name": "ask", "do": "http_request", "method": "POST", "url": server.url()},
            {"name": "rest", "do": "wait", "seconds": 3600},
            {"name": "tell", "do": "emit", "type": "custom.done", "data": {}},
        )
        run = dried(flow, {"body": None})
        assert server.accepted == 0
    assert (run.status, run.error) == ("succeeded", None)
    out = outputs_of(run)
    assert [found["pointer"] for found in out["made"]["diff"]]
    assert out["go"]["record"]["remote_status"] == "open"
    assert out["each"]["succeeded"] == 2
    assert out["each[1].put"]["diff"][0]["after"] == "x"
    assert set(statuses_of(run).values()) == {"succeeded"}
    assert erp_server.calls == []
    with scopes_disabled():
        assert Operation.objects.count() == 0
        assert not Event.objects.filter(type__in=["custom.done", "flow.succeeded"]).exists()


def test_a_dry_run_on_a_recorded_runs_input(plant: Connection) -> None:
    flow = flow_with(plant, a_map("one", {"$": "trigger.body.n"}))
    recorded = drain(start(flow, {"n": 4}))
    with scopes_disabled():
        publish(flow, steps=[a_map("other", {"$": "trigger.body.n"})])
        flow.refresh_from_db()
    run = dried(flow, of_run=recorded)
    assert (run.is_dry, run.input, outputs_of(run)) == (True, recorded.input, {"other": 4})
    strange = flow_with(plant, a_map("one", 1))
    with pytest.raises(NotFoundError):
        dried(strange, of_run=recorded)


def test_a_dry_run_of_a_draft_publishes_nothing(plant: Connection) -> None:
    flow = flow_with(plant, a_map("one", 1), example={"body": "shown"})
    with scope(workspace=flow.workspace_id):
        flow = change_flow(flow, definition={**flow.draft, "steps": [a_map("seen", {"$": "trigger.body"})]}, by="tests")
    runs = [dried(flow, use="draft"), dried(flow, use="draft")]
    assert [outputs_of(run) for run in runs] == [{"seen": "shown"}] * 2
    with scopes_disabled():
        assert len({run.version_id for run in runs}) == 1
        version = FlowVersion.objects.get(pk=runs[0].version_id)
        assert (version.number, str(version)) == (None, "a draft")
        assert FlowVersion.objects.filter(flow=flow).published().count() == 1
        assert outputs_of(dried(flow)) == {"one": 1}
        published = publish(flow)
        assert (published.version.number, FlowVersion.objects.filter(flow=flow).count()) == (2, 3)
    assert outputs_of(dried(published, use="draft")) == {"seen": "shown"}
    with scopes_disabled():
        assert FlowVersion.objects.filter(flow=flow).count() == 3


def test_an_unbound_draft_is_not_run(plant: Connection) -> None:
    flow = make_flow(
        {"name": "all", "do": "list_records", **ORDERS},
        workspace=plant.workspace,
        connections={"erp": {}},
        is_published=False,
    )
    with pytest.raises(LineshaftError) as caught:
        dried(flow, use="draft")
    assert caught.value.errors[0].pointer == "/bindings/erp"


def test_dry_runs_take_no_place_in_the_queue(plant: Connection) -> None:
    flow = flow_with(plant, {"name": "rest", "do": "wait", "seconds": 3600}, queue={"mode": "one_at_a_time"})
    assert drain(start(flow)).status == "waiting"
    assert dried(flow).status == "succeeded"


def test_one_of_two_orders_is_not_the_other(plant: Connection) -> None:
    """By our id, as a person pastes it."""
    flow = flow_with(plant, {"name": "one", "do": "get_record", **ORDERS, "id": {"$": "trigger.body"}})
    assert tried(flow, "one", trigger={"body": po(plant, "2")}).output["record"]["remote_id"] == "2"
