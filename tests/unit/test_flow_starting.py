"""Starting runs: one cause, one run."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.services import disconnect_connection
from core import ids
from core.errors import ConflictError
from flows.choices import TriggerKind
from flows.models import Flow
from flows.services.editing import create_flow, pause
from flows.services.starting import Started, run_by_hand, start_run
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_triggers import STEPS, fresh, make_flow, republish, runs_of, show
from tests.tenants import emit_now, make_workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]


def start(flow: Flow, **facts: Any) -> Started:
    return start_run(flow, **{"trigger": TriggerKind.MANUAL, "input": {"kind": "manual"}, "by": "tests", **facts})


def test_run_pins_the_version_and_says_who_started_it() -> None:
    flow = make_flow(overdue_after_seconds=600)
    emit_now(flow.workspace, environment="test")
    run = start(flow, by="x" * 300).run
    republish(flow, title="Another")
    assert (run.version_id, run.environment, run.triggered_by) == (flow.version_id, "test", "x" * 160)
    assert run.position == 1
    assert timedelta(seconds=595) < run.overdue_at - run.created_at < timedelta(seconds=605)
    assert start(flow).run.version.number == 2


def test_same_key_starts_one_run_of_a_flow() -> None:
    flow = make_flow()
    first, again = start(flow, key="order 1"), start(flow, key="order 1")
    other = start(make_flow(workspace=flow.workspace), key="order 1")
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert again.run.pk == first.run.pk
    assert start(flow).is_new and start(flow).is_new  # without a key each


def test_long_keys_are_kept_by_their_digest_and_differ_where_they_differ() -> None:
    flow = make_flow()
    long = "k" * 500
    assert start(flow, key=long + "a").run.key.startswith("sha256:")
    assert not start(flow, key=long + "a").is_new
    assert start(flow, key=long + "b").is_new


def test_flow_that_was_never_published_starts_nothing() -> None:
    workspace = make_workspace()
    with scope(workspace=workspace.pk):
        definition = {"trigger": {"on": "manual"}, "steps": STEPS}
        flow = create_flow(workspace, "test", name="Draft", definition=definition, by="tests")
        with pytest.raises(ConflictError) as caught:
            run_by_hand(flow, {}, by="tests")
    assert caught.value.code == "FLOW_NOT_PUBLISHED"


def test_by_hand_the_body_is_the_trigger_and_the_definition_makes_the_key() -> None:
    flow = make_flow(key="join('-', ['order', trigger.body.id])")
    first = run_by_hand(flow, {"id": "7"}, by="Ann", key="request-1")
    assert first.run.input["kind"] == "manual" and first.run.input["body"] == {"id": "7"}
    assert first.run.input["at"].endswith("Z")
    assert (first.run.trigger, first.run.key) == ("manual", "order-7")
    assert not run_by_hand(flow, {"id": "7"}, by="Ann", kind=TriggerKind.API).is_new


def test_callers_own_key_counts_where_the_definition_makes_none() -> None:
    flow = make_flow(key="trigger.body.id")
    first = run_by_hand(flow, {}, by="token", kind=TriggerKind.API, key="request-1")
    again = run_by_hand(flow, {}, by="token", kind=TriggerKind.API, key="request-1")
    assert first.run.key == "api:request-1" and not again.is_new
    assert run_by_hand(flow, {}, by="token").run.key is None


def test_key_may_be_any_json() -> None:
    flow = make_flow(key="trigger.body.lines")
    assert run_by_hand(flow, {"lines": [1, {"a": 2}]}, by="Ann").run.key == '[1,{"a":2}]'


def test_paused_flow_is_not_started_by_calls_but_by_people() -> None:
    flow = make_flow()
    with scope(workspace=flow.workspace_id):
        pause(flow, by="tests")
    with pytest.raises(ConflictError) as caught:
        run_by_hand(flow, {}, by="token", kind=TriggerKind.API)
    assert caught.value.code == "FLOW_PAUSED"
    assert run_by_hand(flow, {}, by="Ann").is_new


def test_run_names_connections_it_may_hold_data_of(erp_server: TestErpServer) -> None:
    bound = connect(erp_server)
    other = connect(erp_server, workspace=bound.workspace)
    trigger = {"on": "event", "types": ["sync.completed"]}
    flow = make_flow(trigger, environment=bound.environment, erp=bound)
    run = start(flow, input={"kind": "event", "event": {"connection": show(other)}}).run
    assert run.connection_ids == sorted([bound.pk, other.pk])
    assert start(flow, rerun_of=run).run.connection_ids == sorted([bound.pk, other.pk])


def test_connection_that_was_ended_then_nothing_starts_for_flows_bound_to_it(erp_server: TestErpServer) -> None:
    bound = connect(erp_server)
    facts: Any = {"workspace": bound.workspace, "environment": bound.environment}
    flow = make_flow(erp=bound, **facts)
    with scope(workspace=bound.workspace_id):
        disconnect_connection(bound, by="tests")
    with pytest.raises(ConflictError) as caught:
        start(flow)
    assert caught.value.code == "CONNECTION_DISCONNECTED"
    assert runs_of(flow) == []


@pytest.mark.django_db(transaction=True)
def test_same_key_at_the_same_moment_makes_one_run() -> None:
    flow, found = make_flow(), []

    def work() -> None:
        try:
            found.append(start(flow, key="once"))
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.run.pk for one in found}) == 1 and sum(one.is_new for one in found) == 1
    assert len(found) == 6
    assert ids.show("frun", fresh(found[0].run).pk)
