"""Sync status, syncs and runs over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from django_scopes import scope, scopes_disabled
from drf_spectacular.generators import SchemaGenerator

from connections.choices import ConnectionStatus
from connections.models import Connection
from integrations.entities import openapi_schemas
from syncs.choices import Mode, RunStatus, SyncState, Trigger
from syncs.models import Sync, SyncRun
from syncs.services import ensure_syncs, pause_sync, request_run, sync_status
from syncs.states import CONNECTION_STATE, SYNC_STATE, as_expression
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
SYNCS, RUNS, STATUS = "/api/v1/syncs", "/api/v1/sync-runs", "/api/v1/sync-status"


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


@pytest.fixture
def client(connection: Connection) -> Client:
    """With a workspace token."""
    return client_of(connection)


def client_of(connection: Connection, **facts: Any) -> Client:
    return api(make_token(connection.workspace, **{"scopes": [Scope.SYNCS_WRITE], **facts})[1])


def get(client: Client, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.get(path, parameters)
    assert response.status_code == 200, response.content
    return response.json()


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(path, {} if body is None else body, content_type="application/json")


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def con(connection: Connection) -> str:
    return f"con_{connection.pk.hex}"


def syn(sync: Sync) -> str:
    return f"syn_{sync.pk.hex}"


def run_(run: SyncRun) -> str:
    return f"run_{run.pk.hex}"


def held_run(server: TestErpServer, connection: Connection) -> SyncRun:
    """A full run that holds 15 of 40 records for review."""
    server.add_orders(40)
    sync = sync_of(connection)
    run_sync(sync)
    server.delete("orders", *(str(number) for number in range(1001, 1016)))
    return run_sync(sync, "full")


# --- sync status -----------------------------------------------------------------------------------------------------

ENTITY_FIELDS = {
    "entity", "sync_id", "run_id", "status", "last_successful_sync_at", "next_scheduled_sync_at", "is_initial_sync",
    "phase", "progress", "counts", "data_as_of", "stale", "error",
}  # fmt: skip
FIELDS = {
    "connection_id", "connection_name", "system", "connection_status", "status", "last_successful_sync_at",
    "next_scheduled_sync_at", "errors", "entities",
}  # fmt: skip


def test_status_when_asked_by_a_connection_token_then_one_object(connection, erp_server):
    erp_server.add_orders(3)
    run = run_sync(sync_of(connection))
    client = client_of(connection, connection_id=connection.pk, scopes=[Scope.SYNCS_READ])
    status = get(client, STATUS)
    assert set(status) == FIELDS and status["connection_id"] == con(connection) and status["system"] == "test-erp"
    orders, vendors = status["entities"]
    assert set(orders) == ENTITY_FIELDS == set(vendors)
    assert (orders["status"], vendors["status"], status["status"]) == ("completed", "never_synced", "never_synced")
    assert orders["run_id"] == run_(run) and orders["counts"]["created"] == 3 and orders["progress"] is None
    assert orders["data_as_of"].endswith("Z") and status["last_successful_sync_at"] is None
    assert get(client, f"/api/v1/connections/{con(connection)}/sync-status") == status


def test_status_when_a_run_failed_then_the_error_says_who_must_act(client, connection, erp_server):
    erp_server.fail("http_403", on="/vendors")
    run_sync(sync_of(connection, "vendor"))
    (status,) = get(client, STATUS)["data"]
    assert status["status"] == "failed"
    (error,) = status["errors"]
    assert set(error) == {"entity", "code", "message", "who_must_act", "retryable", "action"}
    assert (error["entity"], error["code"], error["who_must_act"]) == ("vendor", "PERMISSION_DENIED", "customer")
    vendors = next(entity for entity in status["entities"] if entity["entity"] == "vendor")
    assert vendors["error"] == {name: value for name, value in error.items() if name != "entity"}


def test_status_list_when_filtered_and_paged_then_each_connection_once(connection, erp_server):
    others = [connect(erp_server, workspace=connection.workspace, name=f"Plant {n}") for n in range(2, 6)]
    with scope(workspace=connection.workspace_id):
        for one in (connection, *others):
            ensure_syncs(one)
        Connection.objects.filter(pk=others[0].pk).update(paused=True)
    connect(erp_server, workspace=connection.workspace, name="Test plant", environment="test")
    client, seen, cursor = client_of(connection), [], None
    while True:
        page = get(client, STATUS, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [status["connection_id"] for status in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [con(one) for one in (connection, *others)]
    assert [s["connection_id"] for s in get(client, STATUS, status="paused")["data"]] == [con(others[0])]
    assert [s["connection_id"] for s in get(client, STATUS, connection=con(others[1]))["data"]] == [con(others[1])]
    assert code_of(client.get(STATUS, {"status": "fine"})) == (400, "INVALID_PARAMETER")


def test_status_when_there_are_many_connections_then_the_same_queries(
    client,
    connection,
    erp_server,
    django_assert_max_num_queries,
):
    for number in range(2, 12):
        ensure_in_scope(connect(erp_server, workspace=connection.workspace, name=f"Plant {number}"))
    client.get(STATUS)
    with django_assert_max_num_queries(6):
        assert len(get(client, STATUS)["data"]) == 11


def ensure_in_scope(connection: Connection) -> list[Sync]:
    with scope(workspace=connection.workspace_id):
        return ensure_syncs(connection)


def test_states_in_sql_are_those_of_the_service(connection, erp_server):
    """Each state in turn, by real runs where a run brings it about."""
    sync = sync_of(connection)
    seen = []

    def both() -> str:
        with scopes_disabled():
            (status,) = sync_status([Connection.objects.get(pk=connection.pk)])
            orders = next(entity for entity in status.entities if entity.entity == "purchase_order")
            in_sql = Sync.objects.annotate(state=as_expression(SYNC_STATE)).get(pk=sync.pk)
            whole = Connection.objects.annotate(state=as_expression(CONNECTION_STATE)).get(pk=connection.pk)
        assert (in_sql.state, whole.state) == (str(orders.status), str(status.status))
        seen.append(in_sql.state)
        return in_sql.state

    erp_server.add_orders(40)
    assert both() == "never_synced"
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        assert both() == "in_progress"
        SyncRun.objects.filter(pk=run.pk).update(status=RunStatus.CANCELLED)
    assert both() == "never_synced"
    run_sync(sync)
    run_sync(sync_of(connection, "vendor"))
    assert both() == "completed"
    erp_server.fail("http_403", times=1, on="/orders")
    run_sync(sync)
    assert both() == "failed"
    with scopes_disabled():
        SyncRun.objects.create(
            sync=sync, connection=connection, workspace=connection.workspace, mode="full", status="cancelled"
        )
    assert both() == "failed"
    run_sync(sync)
    assert both() == "completed"
    erp_server.delete("orders", *(str(number) for number in range(1001, 1016)))
    run_sync(sync, "full")
    assert both() == "needs_review"
    run_sync(sync)
    assert both() == "needs_review"
    with scopes_disabled():
        Connection.objects.filter(pk=connection.pk).update(health=ConnectionStatus.NEEDS_REAUTH)
        assert both() == "needs_reauth"
        Connection.objects.filter(pk=connection.pk).update(health=ConnectionStatus.DISCONNECTED)
        assert both() == "paused"
        Connection.objects.filter(pk=connection.pk).update(health=ConnectionStatus.ACTIVE)
        pause_sync(sync)
    assert both() == "paused"
    assert set(seen) == set(SyncState.values)


# --- syncs -----------------------------------------------------------------------------------------------------------


def test_syncs_when_listed_then_filtered_by_connection_entity_and_status(client, connection, erp_server):
    run_sync(sync_of(connection))
    other = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    ensure_in_scope(other)
    assert len(get(client, SYNCS)["data"]) == 4
    (sync,) = get(client, SYNCS, status="completed")["data"]
    assert (sync["entity"], sync["connection_id"], sync["interval_seconds"]) == ("purchase_order", con(connection), 900)
    assert len(get(client, SYNCS, entity="vendor")["data"]) == 2
    assert {s["connection_id"] for s in get(client, SYNCS, connection=con(other))["data"]} == {con(other)}
    assert get(client, f"{SYNCS}/{sync['id']}") == sync
    first = get(client, SYNCS, limit=3)
    assert len(get(client, SYNCS, limit=3, cursor=first["next_cursor"])["data"]) == 1
    with scope(workspace=connection.workspace_id):
        connected = client_of(connection, connection_id=other.pk)
    assert {s["connection_id"] for s in get(connected, SYNCS)["data"]} == {con(other)}


def test_sync_when_changed_then_what_is_left_out_stays(client, connection):
    sync = sync_of(connection)
    path = f"{SYNCS}/{syn(sync)}"

    def patch(body: Any) -> Any:
        return client.patch(path, body, content_type="application/json")

    changed = patch({"interval_seconds": 300, "history_days": None, "enabled": False})
    assert changed.status_code == 200
    body = changed.json()
    assert (body["interval_seconds"], body["history_days"], body["enabled"]) == (300, None, False)
    assert body["full_interval_seconds"] == 86_400 and body == get(client, path)
    assert patch({}).json() == body
    assert code_of(patch({"interval_seconds": 59})) == (422, "VALIDATION_FAILED")
    assert code_of(patch({"interval": 60})) == (400, "UNKNOWN_FIELD")
    assert code_of(patch({"paused": True})) == (400, "UNKNOWN_FIELD")
    assert code_of(patch([1])) == (400, "INVALID_BODY")


def test_sync_when_paused_then_no_run_until_resumed(client, connection):
    path = f"{SYNCS}/{syn(sync_of(connection))}"
    paused = post(client, f"{path}/pause")
    assert (paused.status_code, paused.json()["status"], paused.json()["paused"]) == (200, "paused", True)
    assert code_of(post(client, f"{path}/runs", {"mode": "full"})) == (409, "SYNC_PAUSED")
    assert post(client, f"{path}/resume").json()["status"] == "never_synced"
    assert post(client, f"{path}/runs", {"mode": "full"}).status_code == 202


def test_run_when_requested_then_202_and_the_active_one_again(client, connection):
    path = f"{SYNCS}/{syn(sync_of(connection))}/runs"
    first = post(client, path, {"mode": "incremental"})
    run = first.json()
    assert first.status_code == 202 and first["Location"] == f"{RUNS}/{run['id']}"
    assert (run["is_new"], run["mode"], run["status"], run["trigger"]) == (True, "initial", "queued", "api")
    assert run["triggered_by"].startswith("token tok_")
    again = post(client, path, {"mode": "full"})
    assert (again.status_code, again.json()) == (202, {**run, "is_new": False})
    assert get(client, path.removesuffix("/runs"))["requested_mode"] == "full"
    assert get(client, first["Location"]) == {name: value for name, value in run.items() if name != "is_new"}
    assert code_of(post(client, path, {"mode": "initial"})) == (422, "VALIDATION_FAILED")
    assert code_of(post(client, path)) == (422, "VALIDATION_FAILED")


def test_run_when_the_customer_must_sign_in_then_424(client, connection):
    sync = sync_of(connection)
    with scopes_disabled():
        Connection.objects.filter(pk=connection.pk).update(health=ConnectionStatus.NEEDS_REAUTH)
    assert code_of(post(client, f"{SYNCS}/{syn(sync)}/runs", {"mode": "full"})) == (424, "NEEDS_REAUTH")


# --- runs ------------------------------------------------------------------------------------------------------------


def test_runs_when_listed_then_newest_first_and_filtered(client, connection, erp_server):
    erp_server.add_orders(2)
    orders, vendors = sync_of(connection), sync_of(connection, "vendor")
    runs = [run_sync(orders), run_sync(orders), run_sync(vendors), run_sync(orders, "full")]
    every = [run_(run) for run in reversed(runs)]

    def listed(**parameters: Any) -> list[str]:
        return [run["id"] for run in get(client, RUNS, **parameters)["data"]]

    assert listed() == every
    assert listed(entity="vendor") == [run_(runs[2])] == listed(sync=syn(vendors))
    assert listed(mode="full") == [run_(runs[3])] and listed(status="failed") == []
    assert listed(connection=con(connection)) == every
    middle = runs[1].created_at.isoformat()
    assert listed(created_after=middle) == every[:2] and listed(created_before=middle) == every[3:]
    seen, cursor = [], None
    for _ in range(4):
        page = get(client, RUNS, limit=1, **({"cursor": cursor} if cursor else {}))
        seen += [run["id"] for run in page["data"]]
        cursor = page["next_cursor"]
    assert seen == every and cursor is None


def test_runs_when_listed_then_a_fixed_number_of_queries(client, connection, erp_server, django_assert_max_num_queries):
    sync = sync_of(connection)
    for _ in range(5):
        run_sync(sync)
    client.get(RUNS)
    with django_assert_max_num_queries(2):
        assert len(get(client, RUNS)["data"]) == 5


def test_errors_when_objects_are_set_aside_then_shown_with_raw_on_request(client, connection, erp_server):
    erp_server.add_orders(30)
    for number in (1003, 1004, 1005):
        erp_server.change("orders", str(number), total="twelve")
    run = run_sync(sync_of(connection))
    path = f"{RUNS}/{run_(run)}/errors"
    page = get(client, path, limit=2)
    assert page["error"] is None and len(page["data"]) == 2
    rest = get(client, path, limit=2, cursor=page["next_cursor"])
    items = page["data"] + rest["data"]
    assert {item["remote_id"] for item in items} == {"1003", "1004", "1005"} and rest["next_cursor"] is None
    assert {item["code"] for item in items} == {"MAPPING_FAILED"} and "raw" not in items[0]
    assert all(item["record_id"].startswith("po_") and "total_amount" in item["detail"] for item in items)
    assert '"twelve"' in get(client, path, include="raw")["data"][0]["raw"]


def test_held_deletions_when_released_or_deleted_then_so_it_is(client, connection, erp_server):
    run = held_run(erp_server, connection)
    path = f"{RUNS}/{run_(run)}"
    held = get(client, path)
    assert (held["status"], held["error"]["code"]) == ("needs_review", "DELETIONS_NEED_REVIEW")
    suspects = get(client, f"{path}/suspects", limit=10)
    more = get(client, f"{path}/suspects", limit=10, cursor=suspects["next_cursor"])
    remote = {suspect["remote_id"] for suspect in suspects["data"] + more["data"]}
    assert remote == {str(number) for number in range(1001, 1016)}
    assert code_of(post(client, f"{path}/review", {"decision": "maybe"})) == (422, "VALIDATION_FAILED")
    released = post(client, f"{path}/review", {"decision": "release"}).json()
    assert (released["status"], released["review"]["decision"]) == ("completed", "released")
    assert released["review"]["by"].startswith("token tok_") and released["counts"]["deleted"] == 0
    assert get(client, f"{path}/suspects")["data"] == []
    assert code_of(post(client, f"{path}/review", {"decision": "delete"})) == (409, "NOTHING_TO_REVIEW")
    again = run_sync(sync_of(connection), "full")
    deleted = post(client, f"{RUNS}/{run_(again)}/review", {"decision": "delete"}).json()
    assert (deleted["review"]["decision"], deleted["counts"]["deleted"]) == ("deleted", 15)


def test_run_when_cancelled_then_it_ends_and_cannot_be_again(client, connection):
    run = post(client, f"{SYNCS}/{syn(sync_of(connection))}/runs", {"mode": "full"}).json()
    cancelled = post(client, f"{RUNS}/{run['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert code_of(post(client, f"{RUNS}/{run['id']}/cancel")) == (409, "RUN_ENDED")


# --- who may ---------------------------------------------------------------------------------------------------------


def test_everything_when_it_is_somebody_elses_then_404(connection, erp_server):
    run = held_run(erp_server, connection)
    sync = sync_of(connection)
    sibling = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    others = [
        api(make_token(make_workspace("Other"))[1]),
        client_of(connection, environment="test"),
        client_of(connection, connection_id=sibling.pk),
    ]
    reads = [
        f"{SYNCS}/{syn(sync)}",
        f"{RUNS}/{run_(run)}",
        f"{RUNS}/{run_(run)}/errors",
        f"{RUNS}/{run_(run)}/suspects",
        f"/api/v1/connections/{con(connection)}/sync-status",
        f"{STATUS}?connection={con(connection)}",
        f"{SYNCS}?connection={con(connection)}",
        f"{RUNS}?connection={con(connection)}",
    ]
    writes = [
        (f"{SYNCS}/{syn(sync)}/pause", None),
        (f"{SYNCS}/{syn(sync)}/resume", None),
        (f"{SYNCS}/{syn(sync)}/runs", {"mode": "full"}),
        (f"{RUNS}/{run_(run)}/cancel", None),
        (f"{RUNS}/{run_(run)}/review", {"decision": "delete"}),
    ]
    for client in others:
        for path in reads:
            assert code_of(client.get(path)) == (404, "NOT_FOUND"), path
        for path, body in writes:
            assert code_of(post(client, path, body)) == (404, "NOT_FOUND"), path
        patched = client.patch(f"{SYNCS}/{syn(sync)}", {"enabled": False}, content_type="application/json")
        assert code_of(patched) == (404, "NOT_FOUND")
        assert all(s["connection_id"] != con(connection) for s in get(client, SYNCS)["data"])
        assert get(client, RUNS)["data"] == []
    assert client_of(connection).get(reads[0]).status_code == 200


def test_writes_when_the_token_may_only_read_then_403(connection):
    client = client_of(connection, scopes=[Scope.SYNCS_READ])
    sync = sync_of(connection)
    assert client.get(f"{SYNCS}/{syn(sync)}").status_code == 200
    for path in ("pause", "resume", "runs"):
        assert code_of(post(client, f"{SYNCS}/{syn(sync)}/{path}", {"mode": "full"})) == (403, "MISSING_SCOPE")
    assert code_of(client_of(connection, scopes=[Scope.RECORDS_READ]).get(STATUS)) == (403, "MISSING_SCOPE")


def test_a_run_that_waits_says_until_when(client, connection, erp_server):
    erp_server.fail("http_429")
    run = run_sync(sync_of(connection))
    with scopes_disabled():
        SyncRun.objects.filter(pk=run.pk).update(due_at=Now() + timedelta(minutes=5))
    body = get(client, f"{RUNS}/{run_(run)}")
    assert body["status"] == "waiting" and body["waits_until"] > timezone.now().isoformat()[:19]
    assert body["error"]["code"] == "RATE_LIMIT_EXCEEDED"


# --- the published schema --------------------------------------------------------------------------------------------


def test_schema_documents_every_entity_with_its_own_record():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert set(openapi_schemas()) <= set(schema["components"]["schemas"])
    operation = schema["paths"]["/api/v1/purchase-orders"]["get"]
    content = operation["responses"]["200"]["content"]["application/json"]
    items = content["schema"]["properties"]["data"]["items"]
    assert items == {"$ref": "#/components/schemas/PurchaseOrderRecord"}
    assert content["examples"]["Page"]["value"]["data"][0]["entity"] == "purchase_order"
    parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert parameters["order_date_from"] == {"type": "string", "format": "date"}
    assert parameters["limit"] == {"type": "integer"} and parameters["modified_after"]["format"] == "date-time"
    assert {"vendor", "vendor_remote_id", "expand", "connection", "X-Connection-Id"} <= set(parameters)
    detail = schema["paths"]["/api/v1/work-orders/{record_id}"]["get"]
    assert detail["operationId"] == "getWorkOrder" and "304" in detail["responses"]
