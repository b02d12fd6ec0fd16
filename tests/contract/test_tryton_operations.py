"""Writing back to a real ERP through the API: predicted, done, refused by both with the same reason, seen at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from connections.models import Connection
from connections.services import card_of, create_connection, open_connector
from core.ids import new_id
from integrations.sdk.unmapping import compile_unmapping
from integrations.sdk.writes import Change
from sandbox.tryton import TrytonServer, running
from sandbox.tryton.client import TrytonClient
from syncs.choices import OperationKind
from syncs.models import Operation, Record
from syncs.services.writes import wait_for
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token
from tests.writing import worker  # noqa: F401
from workspaces.choices import Scope
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400), pytest.mark.usefixtures("worker")]
ORDERS = "/api/v1/purchase-orders"
PATIENT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def plant() -> Iterator[TrytonServer]:
    with running() as server:
        yield server


@pytest.fixture
def person(plant: TrytonServer) -> TrytonClient:
    """Somebody who works in the customer's ERP."""
    return TrytonClient(plant.base_url, plant.database).login(plant.admin_user, plant.admin_password)


@pytest.fixture
def connection(plant: TrytonServer) -> Connection:
    workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
    workspace.save(force_insert=True)
    with scope(workspace=workspace.pk):
        return create_connection(
            workspace=workspace,
            system="tryton",
            name="Nordmark plant",
            config={"base_url": plant.base_url, "database": plant.database, "user": plant.user},
            secrets={"password": plant.password},
            environment="test",
            by="test",
        )


@pytest.fixture
def client(connection: Connection) -> Client:
    for entity in ("purchase_order", "vendor", "inventory_item"):
        run_sync(sync_of(connection, entity), rounds=5)
    scopes = (Scope.RECORDS_READ, Scope.RECORDS_WRITE, Scope.OPERATIONS_WRITE)
    token = make_token(connection.workspace, scopes=scopes, connection_id=connection.pk, environment="test")
    return api(token[1])


def write(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return getattr(client, method)(
        path, body if body is not None else {}, content_type="application/json", headers={**PATIENT, **headers}
    )


def found(client: Client, entity: str, **filters: str) -> dict[str, Any]:
    return client.get(f"/api/v1/{entity}", {"limit": "1", **filters}).json()["data"][0]


@pytest.fixture
def draft(client: Client) -> dict[str, Any]:
    """A purchase order made through the API."""
    vendor, item = found(client, "vendors", status="active"), found(client, "inventory-items", status="active")
    line = {"item": item["id"], "quantity": "4", "unit_price": "12.50"}
    response = write(client, "post", ORDERS, {"vendor": vendor["id"], "notes": "Gate 3", "lines": [line]})
    assert response.status_code == 201, response.content
    return response.json()["record"]


def test_order_when_written_then_erp_copy_and_refusals_agree(client, connection, person, draft) -> None:
    purchase, path = int(draft["remote_id"]), f"{ORDERS}/{draft['id']}"
    assert (draft["status"], draft["lines"][0]["quantity"], draft["notes"]) == ("draft", "4", "Gate 3")
    assert client.get(path).json() == draft
    line = draft["lines"][0]["id"]

    changed = write(client, "patch", path, {"notes": "Gate 4", "lines": [{"id": line, "quantity": "6"}]})
    assert changed.status_code == 200, changed.content
    assert client.get(path).json()["lines"][0]["quantity"] == "6"
    (row,) = person.call("model.purchase.purchase.read", [purchase], ["comment", "lines.quantity"])
    assert (row["comment"], row["lines."][0]["quantity"]) == ("Gate 4", 6.0)

    for action in ("quote", "confirm"):
        response = write(client, "post", f"{path}/actions/{action}")
        assert response.status_code == 200, response.content
    status = client.get(path).json()["remote_status"]
    assert status in ("confirmed", "processing")

    predicted = write(client, "patch", path, {"lines": [{"id": line, "quantity": "9"}]})
    assert predicted.status_code == 422
    problem = predicted.json()
    assert problem["errors"][0]["pointer"].startswith("/lines") and status in problem["detail"]
    assert "draft" in problem["detail"]

    # The copy does not know yet: the object itself is asked, and says the same.
    upstream = self_refused(client, connection, person, draft)
    assert upstream["errors"][0]["pointer"].startswith("/lines") or upstream["source"]


def self_refused(client: Client, connection: Connection, person: TrytonClient, made: dict[str, Any]) -> dict[str, Any]:
    """A second order, quoted behind our back: our copy still says draft."""
    body = {"vendor": made["vendor"]["id"], "lines": [{"item": made["lines"][0]["item"]["id"], "quantity": "1"}]}
    second = write(client, "post", ORDERS, body).json()["record"]
    person.call("model.purchase.purchase.quote", [int(second["remote_id"])])
    path, line = f"{ORDERS}/{second['id']}", second["lines"][0]["id"]
    refused = write(client, "patch", path, {"lines": [{"id": line, "quantity": "2"}]})
    assert refused.status_code == 422, refused.content
    assert "quotation" in refused.json()["detail"]
    assert client.get(path).json()["remote_status"] == "quotation", "the refusal brought the copy up to date"
    return refused.json()


def test_order_when_refused_by_the_erp_alone_then_its_words_are_told(client, connection, person, draft) -> None:
    """Sent although the rule says no (as if the rule were not declared): Tryton gives the same reason."""
    write(client, "post", f"{ORDERS}/{draft['id']}/actions/quote")
    values = {"lines": [{"id": draft["lines"][0]["id"], "quantity": "9"}]}
    with scope(workspace=connection.workspace_id):
        record = Record.objects.get(remote_id=draft["remote_id"], entity="purchase_order", connection=connection)
        call: dict[str, Any] = {
            "method": "POST",
            "url": "",
            "headers": {},
            "body": None,
            "purpose": "",
            "creates": False,
        }
        operation = Operation(
            workspace_id=connection.workspace_id,
            connection=connection,
            entity="purchase_order",
            kind=OperationKind.UPDATE,
            record_id=record.pk,
            remote_id=record.remote_id,
            values=values,
            calls=[{**call, **_rpc_write(connection, record, values), "repeatable": True}],
        )
        operation.save(force_insert=True)
        operation = wait_for(operation.pk, 30)
    assert operation.status == "failed" and operation.error is not None, operation.error
    assert operation.error["category"] == "business_rule"
    assert "Quantity" in operation.error["source"]["message"]


def _rpc_write(connection: Connection, record: Record, values: dict[str, Any]) -> dict[str, Any]:
    """The request as the connector plans it, without the rules being asked."""
    card = card_of(connection, "purchase_order")
    with open_connector(connection) as connector:
        before = connector.decode(connector.fetch_one(card.resource, record.remote_id))
        unmapping = compile_unmapping(card.spec, card.rows, encode=connector.encode)
        change = Change("update", values, remote_id=record.remote_id, before=before)
        (call,) = connector.plan(card.resource, change, unmapping)
    return call.as_json()


def test_order_when_cancelled_and_deleted_then_it_is_so_there(client, person, draft) -> None:
    path, purchase = f"{ORDERS}/{draft['id']}", int(draft["remote_id"])
    cancelled = write(client, "post", f"{path}/actions/cancel")
    assert cancelled.status_code == 200 and client.get(path).json()["status"] == "cancelled"

    deleted = write(client, "delete", path)
    assert deleted.status_code == 200, deleted.content
    assert deleted.json()["operation"]["effect"] == "hard"
    assert client.get(path).status_code == 404
    assert person.call("model.purchase.purchase.search", [["id", "=", purchase]]) == []


def test_draft_when_deleted_then_it_is_gone_at_once(client, person, draft) -> None:
    deleted = write(client, "delete", f"{ORDERS}/{draft['id']}")

    assert deleted.status_code == 200, deleted.content
    assert person.call("model.purchase.purchase.search", [["id", "=", int(draft["remote_id"])]]) == []


def test_etag_when_stale_or_changed_unseen_then_412(client, person, draft) -> None:
    path, tag = f"{ORDERS}/{draft['id']}", f'"{draft["version"]}"'
    assert write(client, "patch", path, {"notes": "x"}, **{"If-Match": '"99"'}).status_code == 412

    person.call("model.purchase.purchase.write", [int(draft["remote_id"])], {"comment": "Changed by somebody"})
    unseen = write(client, "patch", path, {"notes": "Mine"}, **{"If-Match": tag})
    assert unseen.status_code == 412, unseen.content
    assert unseen.json()["record"]["notes"] == "Changed by somebody"
    assert client.get(path)["ETag"] == f'"{draft["version"] + 1}"'
