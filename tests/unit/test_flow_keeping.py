"""How long runs are kept, and what goes with a deleted connection."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import delete_connection
from core.ids import new_id
from flows.models import Flow, FlowHookMessage, FlowRun, FlowVersion, StepRun
from flows.ticks import forget_old_rows
from syncs.ticks import purge_deleted_connections
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_triggers import fresh, make_flow, runs_of
from webhooks.services import clock
from workspaces.models import AuditEvent

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]
OLD, YOUNG = timedelta(days=90, hours=1), timedelta(days=89)


def id_of(at: datetime) -> UUID:
    """As if it were made then."""
    mine = new_id()
    return UUID(int=int(at.timestamp() * 1000) << 80 | mine.int & (1 << 80) - 1)


def run_made(flow: Flow, ago: timedelta, *, ended_ago: timedelta | None = None, **facts: Any) -> FlowRun:
    """A run with one step."""
    at = clock.now()
    with scope(workspace=flow.workspace_id):
        run = FlowRun(
            pk=id_of(at - ago),
            workspace_id=flow.workspace_id,
            environment=flow.environment,
            flow=flow,
            trigger="manual",
            finished_at=at - (ended_ago or ago),
            **{"status": "succeeded", "version": flow.version, **facts},
        )
        run.save(force_insert=True)
        StepRun(workspace_id=flow.workspace_id, run=run, path="a", name="a", kind="map").save(force_insert=True)
    return run


def steps() -> int:
    with scopes_disabled():
        return StepRun.objects.count()


def test_runs_that_ended_90_days_ago_go_with_their_steps() -> None:
    flow = make_flow()
    old = run_made(flow, OLD)
    kept = [
        run_made(flow, YOUNG),
        run_made(flow, OLD, ended_ago=YOUNG, rerun_of=old),
        run_made(flow, OLD, status="waiting"),
    ]
    assert forget_old_rows() == 1
    assert {run.pk for run in runs_of(flow)} == {run.pk for run in kept}
    assert steps() == 3
    assert fresh(kept[1]).rerun_of_id is None
    assert forget_old_rows() == 0


def test_drafts_that_were_tried_out_go_with_their_last_run() -> None:
    flow = make_flow()
    with scope(workspace=flow.workspace_id):
        drafts = [
            FlowVersion.objects.create(workspace=flow.workspace, flow=flow, definition={}, digest=str(number))
            for number in range(2)
        ]
    run_made(flow, OLD, version=drafts[0], is_dry=True)
    run_made(flow, OLD, version=drafts[1], is_dry=True)
    run_made(flow, YOUNG, version=drafts[1], is_dry=True)
    assert forget_old_rows() == 2
    with scopes_disabled():
        assert set(FlowVersion.objects.values_list("pk", flat=True)) == {flow.version_id, drafts[1].pk}


def message(flow: Flow, run: FlowRun | None = None) -> FlowHookMessage:
    with scope(workspace=flow.workspace_id):
        return FlowHookMessage.objects.create(
            workspace=flow.workspace, flow=flow, run=run, body=b"{}", status="started" if run else "refused"
        )


def test_deleted_connection_takes_all_that_may_hold_its_data(erp_server: TestErpServer, erp_connector: Any) -> None:
    gone = connect(erp_server, environment="test")
    stays = connect(erp_server, environment="test", workspace=gone.workspace)
    facts: Any = {"workspace": gone.workspace}
    bound, other = make_flow({"on": "hook"}, erp=gone, **facts), make_flow({"on": "hook"}, erp=stays, **facts)
    runs = [
        run_made(bound, YOUNG, connection_ids=[gone.pk]),
        run_made(other, YOUNG, connection_ids=sorted([stays.pk, gone.pk])),
    ]
    kept = run_made(other, YOUNG, connection_ids=[stays.pk])
    again = run_made(other, YOUNG, connection_ids=[stays.pk], rerun_of=runs[1])
    message(bound, runs[0]), message(bound), message(other, runs[1])
    left = [message(other, kept), message(other)]
    with scope(workspace=gone.workspace_id):
        delete_connection(gone, by="tests")
    for _ in range(20):
        if not purge_deleted_connections():
            break

    with scopes_disabled():
        assert not Connection.objects.filter(pk=gone.pk).exists()
        assert set(FlowRun.objects.values_list("pk", flat=True)) == {kept.pk, again.pk}
        assert set(StepRun.objects.values_list("run_id", flat=True)) == {kept.pk, again.pk}
        assert set(FlowHookMessage.objects.values_list("pk", flat=True)) == {one.pk for one in left}
        rows = AuditEvent.objects.get(action="connection.purged").details["rows"]
    assert (rows["flow_messages"], rows["flow_steps"], rows["flow_runs"]) == (3, 2, 2)
