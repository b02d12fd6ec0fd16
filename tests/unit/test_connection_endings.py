"""Connections that are disconnected and come back: what stops, what stays, what goes on, and what the audit log says."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections, transaction
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential, Grant, SystemSettings
from connections.services import (
    create_connection,
    delete_connection,
    disconnect_connection,
    pause_connection,
    reconnect_connection,
    resume_connection,
    revive,
    update_connection,
)
from core import ids
from core.errors import BusinessRuleError, ConflictError, ValidationFailedError
from core.leases import claim
from integrations.simulators.kit.server import Simulator
from syncs.choices import Mode, Trigger
from syncs.engine.run import execute_run
from syncs.models import Operation, Record, Sync, SyncRun
from syncs.operations.outcomes import begin_sending
from syncs.services import request_run, settling
from syncs.ticks import dispatch_due_syncs, stop_disconnected_work
from tests.chaos.processes import until
from tests.connectors import API_KEY, SLUG, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.operating import CREATE, cmms, due_now, plant, wanted, worked  # noqa: F401
from tests.syncing import copy_of, events_of, run_sync, sync_of
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Environment
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("connectors")]


@pytest.fixture
def connectors(settings: Any) -> None:
    settings.CONNECTORS = ["tests.connectors.TestErp", "integrations.connectors.maintainx.MaintainX"]


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    erp_server.page_size = 5
    erp_server.add_orders(12)
    return sync_of(connect(erp_server, page_size=5))


def actions(connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    shown = ids.show(Connection.PREFIX, connection.pk)
    with scopes_disabled():
        rows = AuditEvent.objects.filter(object_id=shown, action__startswith="connection.").order_by("pk")
        return list(rows.values_list("action", "details"))


def read(row: Any) -> Any:
    with scopes_disabled():
        row.refresh_from_db()
    return row


# --- what a disconnect stops ------------------------------------------------------------------------------------------


def test_disconnect_deletes_secrets_and_grant_and_revokes_tokens_at_once(sync: Sync) -> None:
    connection, workspace = sync.connection, sync.connection.workspace
    with scope(workspace=workspace.pk):
        Grant.objects.create(workspace=workspace, connection=connection, ciphertext=b"x")
    _, own = make_token(workspace, connection_id=connection.pk)
    _, wide = make_token(workspace)
    run_sync(sync)
    assert api(own).get("/api/v1/purchase-orders").status_code == 200

    disconnect_connection(connection, by="ann")

    assert api(own).get("/api/v1/purchase-orders").status_code == 401
    with scopes_disabled():
        assert not Credential.objects.exists() and not Grant.objects.exists()
    shown = str(ids.show(Connection.PREFIX, connection.pk))
    readable = api(wide).get("/api/v1/purchase-orders", headers={"X-Connection-Id": shown})
    assert readable.status_code == 200 and len(readable.json()["data"]) == 12, "its copy stays readable"
    raw = {"method": "GET", "path": "/orders"}
    refused = api(wide).post("/api/v1/passthrough", raw, "application/json", headers={"X-Connection-Id": shown})
    assert (refused.status_code, refused.json()["code"]) == (409, "CONNECTION_DISCONNECTED")


def test_page_that_comes_after_the_disconnect_is_not_written(sync: Sync, erp_server: TestErpServer) -> None:
    original, pages = erp_server.answer, 0

    def answer(call: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 3:
            wait_for_records(sync, 5)
            disconnect_connection(sync.connection, by="ann")
            connections.close_all()  # those of the server's thread
        return original(call)

    erp_server.answer = answer  # type: ignore[method-assign]
    run = run_sync(sync)

    assert (run.status, run.error["code"]) == ("cancelled", "CONNECTION_DISCONNECTED")
    assert len(copy_of(sync).live) in (5, 10) and run.read_count == len(copy_of(sync).live)
    assert events_of(sync)[-1]["type"] == "connection.disconnected"
    with scopes_disabled():
        assert Sync.objects.filter(pk=sync.pk, next_run_at__lte=run.finished_at).exists(), "due when it is back"


def wait_for_records(sync: Sync, count: int) -> None:
    def are_there() -> bool:
        with scopes_disabled():
            return bool(Record.objects.filter(connection_id=sync.connection_id).count() >= count)

    until(are_there, seconds=10, what="pages are written")


@pytest.mark.parametrize("status", ["queued", "waiting", "running"])
def test_tick_ends_runs_wherever_they_stand_and_their_worker_loses_them(sync: Sync, status: str) -> None:
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.COMMAND).run
        SyncRun.objects.filter(pk=run.pk).update(status=status)
        lease = claim(SyncRun, run.pk, seconds=60) if status == "running" else None
    assert stop_disconnected_work() == 0
    disconnect_connection(sync.connection, by="ann")

    assert stop_disconnected_work() == 1

    assert (read(run).status, run.error["code"]) == ("cancelled", "CONNECTION_DISCONNECTED")
    assert lease is None
    assert stop_disconnected_work() == 0
    execute_run(run.pk)
    assert read(run).status == "cancelled" and dispatch_due_syncs() == 0


def test_operation_not_sent_yet_fails_with_the_reason_and_can_be_tried_again(plant: Connection, cmms: Simulator):
    queued = wanted(plant, "vendor", CREATE, {"name": "Nordring"})
    disconnect_connection(plant, by="ann")

    assert stop_disconnected_work() == 1

    assert (read(queued).status, queued.error["code"]) == ("failed", "CONNECTION_DISCONNECTED")
    assert queued.attempts == 0
    reconnect_connection(plant, secrets={"api_key": cmms.api_key}, by="ann")
    with scope(workspace=plant.workspace_id):
        settling.retry_operation(queued, by="ann")
    assert worked(queued, rounds=5).status == "succeeded"


def test_operation_about_to_be_sent_is_not(plant: Connection) -> None:
    operation = wanted(plant, "vendor", CREATE, {"name": "Nordring"})
    with scope(workspace=plant.workspace_id):
        lease = claim(Operation, operation.pk, seconds=60)
        assert lease is not None
        disconnect_connection(plant, by="ann")
        with pytest.raises(ConflictError) as caught:
            begin_sending(lease, operation)
    assert caught.value.code == "CONNECTION_DISCONNECTED"
    assert (read(operation).stage, operation.sent_at) == ("planned", None)


def test_operation_in_doubt_stays_and_is_found_out_after_a_reconnect(plant: Connection, cmms: Simulator) -> None:
    """Its request was sent and done, the answer lost, then the customer disconnected: nothing of it is lost or doubled."""
    cmms.control.add_fault("cut_answer", "POST", times=1)
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Once only"}))
    assert (operation.status, operation.stage) == ("unknown", "sending")
    disconnect_connection(plant, by="ann")
    assert stop_disconnected_work() == 0

    due_now(operation)
    assert worked(operation).status == "unknown"
    assert (operation.error["code"], operation.stage) == ("CONNECTION_DISCONNECTED", "sending")

    # The check is left out: it would use up the calls that the system allows in a minute.
    reconnect_connection(plant, secrets={"api_key": cmms.api_key}, by="ann", check=False)
    with scope(workspace=plant.workspace_id):
        Connection.objects.filter(pk=plant.pk).update(health=ConnectionStatus.ACTIVE)
    due_now(operation)
    assert worked(operation).status == "succeeded" and operation.attempts == 1
    assert sum(found["title"] == "Once only" for found in cmms.control.objects("workorders")) == 1


# --- coming back ------------------------------------------------------------------------------------------------------


def test_reconnect_keeps_id_records_and_schedule_and_catches_up_from_where_it_stood(
    sync: Sync, erp_server: TestErpServer
) -> None:
    connection = sync.connection
    with scopes_disabled():
        Sync.objects.filter(pk=sync.pk).update(interval_seconds=7200)
    run_sync(sync)
    cursor, before = read(sync).cursor, copy_of(sync)
    disconnect_connection(connection, by="ann")
    stop_disconnected_work()
    erp_server.change("orders", "1003", status="done")
    erp_server.forget_calls()

    assert reconnect_connection(connection, secrets={"api_key": API_KEY}, by="ann").status == "active"

    assert read(sync).cursor == cursor and sync.interval_seconds == 7200 and copy_of(sync) == before
    with scopes_disabled():
        Sync.objects.filter(pk=sync.pk).update(next_run_at="2026-11-01T00:00:00Z")
    assert dispatch_due_syncs() >= 1
    with scopes_disabled():
        run = SyncRun.objects.active().get(sync=sync)
    execute_run(run.pk)
    assert (read(run).status, run.mode) == ("completed", "incremental")
    assert any("updated_since" in call.parameters for call in erp_server.calls_to("/orders"))
    after = copy_of(sync)
    assert after.live["1003"]["status"] == "received" and after.versions["1003"] == 2
    assert set(after.live) == set(before.live)


def test_reconnect_that_does_not_work_is_pending_with_the_error(sync: Sync) -> None:
    connection = disconnect_connection(sync.connection, by="ann")

    assert reconnect_connection(connection, secrets={"api_key": "wrong"}, by="ann").status == "pending"

    assert connection.error["code"] == "AUTHENTICATION_FAILED"
    assert update_connection(connection, secrets={"api_key": API_KEY}, by="ann").status == "active"


def test_reconnect_demands_every_secret_and_takes_settings(sync: Sync, erp_server: TestErpServer) -> None:
    connection = disconnect_connection(sync.connection, by="ann")
    with pytest.raises(ValidationFailedError) as caught:
        reconnect_connection(connection, secrets={}, by="ann")
    assert [error.pointer for error in caught.value.errors] == ["/secrets/api_key"]
    assert read(connection).status == "disconnected"

    config = {"company": "ACME", "base_url": erp_server.base_url}
    reconnect_connection(connection, config=config, secrets={"api_key": API_KEY}, by="ann")

    assert (connection.status, connection.config["company"]) == ("active", "ACME")


def test_reconnect_of_one_that_is_not_disconnected_or_deleted_is_refused(sync: Sync) -> None:
    connection = sync.connection
    with pytest.raises(ConflictError) as caught:
        reconnect_connection(connection, secrets={"api_key": API_KEY}, by="ann")
    assert caught.value.code == "CONNECTION_NOT_DISCONNECTED"
    delete_connection(connection, by="ann")
    with pytest.raises(ConflictError) as caught:
        reconnect_connection(connection, secrets={"api_key": API_KEY}, by="ann")
    assert caught.value.code == "CONNECTION_DELETED"


def test_reconnect_by_api_answers_the_check_and_leaves_tokens_revoked(sync: Sync) -> None:
    connection, workspace = sync.connection, sync.connection.workspace
    _, own = make_token(workspace, connection_id=connection.pk)
    _, wide = make_token(workspace)
    address = f"/api/v1/connections/{ids.show(Connection.PREFIX, connection.pk)}"
    secrets = {"secrets": {"api_key": API_KEY}}
    early = api(wide).post(f"{address}/reconnect", secrets, "application/json")
    assert (early.status_code, early.json()["code"]) == (409, "CONNECTION_NOT_DISCONNECTED")
    assert api(wide).post(f"{address}/disconnect").status_code == 200
    incomplete = api(wide).post(f"{address}/reconnect", {}, "application/json")
    assert incomplete.status_code in (400, 422)

    answer = api(wide).post(f"{address}/reconnect", secrets, "application/json")

    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], answer.json()["check"]["ok"]) == ("active", True)
    assert api(own).get("/api/v1/connections").status_code == 401


def test_revive_is_for_the_callers_transaction_and_only_for_disconnected_ones(sync: Sync) -> None:
    connection = sync.connection
    with scope(workspace=connection.workspace_id), transaction.atomic():
        assert revive(Connection.objects.select_for_update().get(pk=connection.pk)) is False
    disconnect_connection(connection, by="ann")
    with scope(workspace=connection.workspace_id), transaction.atomic():
        assert revive(Connection.objects.select_for_update().get(pk=connection.pk)) is True
    assert read(connection).status == ConnectionStatus.PENDING


# --- told and refused -------------------------------------------------------------------------------------------------


def test_audit_log_tells_the_whole_life_without_a_value(erp_server: TestErpServer) -> None:
    connection = create_connection(
        workspace=make_workspace(), system=SLUG, name="Plant 1", config={"base_url": erp_server.base_url},
        secrets={"api_key": API_KEY}, environment="live", by="ann",
    )  # fmt: skip
    changes = {"name": "Plant 2", "config": {"company": "ACME"}, "metadata": {"owner": "Bob"}}
    update_connection(connection, changes=changes, secrets={"api_key": API_KEY}, by="ann")
    update_connection(connection, changes={}, by="ann")
    for _ in range(2):
        pause_connection(connection, by="ann")
    resume_connection(connection, by="ann")
    disconnect_connection(connection, by="ann")
    reconnect_connection(connection, secrets={"api_key": API_KEY}, by="ann")
    delete_connection(connection, by="ann")

    told = actions(connection)
    assert [action.removeprefix("connection.") for action, _ in told] == [
        "created", "changed", "paused", "resumed", "disconnected", "reconnected", "deleted",
    ]  # fmt: skip
    assert told[0][1] == {"system": SLUG, "environment": "live"}
    assert told[1][1] == {"changed": ["config.company", "metadata", "name", "secrets.api_key"]}
    assert not any(word in str(told) for word in ("ACME", "Bob", "owner", "Plant", API_KEY))


def test_change_that_is_refused_leaves_no_record(sync: Sync) -> None:
    with pytest.raises(ValidationFailedError):
        update_connection(sync.connection, changes={"name": ""}, by="ann")
    assert actions(sync.connection) == []


def test_connection_of_a_system_switched_off_is_neither_made_nor_reconnected(
    sync: Sync, erp_server: TestErpServer
) -> None:
    connection = disconnect_connection(sync.connection, by="ann")
    workspace = connection.workspace
    with scope(workspace=workspace.pk):
        SystemSettings.objects.create(workspace=workspace, system=SLUG, environment=Environment.LIVE, enabled=False)
    with pytest.raises(BusinessRuleError) as caught:
        reconnect_connection(connection, secrets={"api_key": API_KEY}, by="ann")
    assert caught.value.code == "SYSTEM_DISABLED"
    with pytest.raises(BusinessRuleError):
        create_connection(
            workspace=workspace, system=SLUG, name="Plant 2", config={"base_url": erp_server.base_url},
            secrets={"api_key": API_KEY}, environment="live", by="ann",
        )  # fmt: skip
