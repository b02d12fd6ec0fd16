"""Usage booked in a real ERP: exactly what was used leaves the stock, once, also when an answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from connections.models import Connection
from connections.services import card_of, open_connector
from core import ids
from core.errors import TimeoutUnknownError
from integrations.connectors.tryton import Tryton
from integrations.sdk.unmapping import compile_unmapping
from integrations.sdk.writes import Change, WriteCall
from sandbox.tryton.client import TrytonClient
from syncs.choices import OperationKind
from syncs.models import Operation
from syncs.operations import outcomes
from syncs.operations.execute import execute_operation
from syncs.services.writes import Wish, request_operation
from tests.contract.test_tryton_operations import connection, person, plant, write  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
ITEMS = "/api/v1/inventory-items"
SHIPMENT = "model.stock.shipment.internal"


@pytest.fixture
def client(connection: Connection) -> Client:
    run_sync(sync_of(connection, "inventory_item"), rounds=5)
    scopes = (Scope.RECORDS_READ, Scope.RECORDS_WRITE)
    return api(make_token(connection.workspace, scopes=scopes, connection_id=connection.pk, environment="test")[1])


@pytest.fixture
def item(client: Client) -> dict[str, Any]:
    """An item with some stock."""
    page = client.get(ITEMS, {"limit": "500", "status": "active"}).json()["data"]
    return max(page, key=lambda one: max([Decimal(level["quantity_on_hand"]) for level in one["stock"]], default=0))


def stock_of(client: Client, item: dict[str, Any]) -> Decimal:
    return Decimal(write(client, "post", f"{ITEMS}/{item['id']}/refresh").json()["quantity_on_hand"])


def shipments(person: TrytonClient) -> list[dict[str, Any]]:
    return person.call(f"{SHIPMENT}.search_read", [["reference", "like", "lsh-%"]], 0, None, None, ["state"])


def wish(connection: Connection, item: dict[str, Any], quantity: str) -> Operation:
    """An operation that is stored, and that nobody works on but the test."""
    made = request_operation(
        connection,
        Wish(
            entity="inventory_item",
            kind=OperationKind.ACTION,
            action="book_usage",
            record_id=ids.read("itm", item["id"]),
            body={"quantity": quantity},
        ),
    )
    return made.operation


def work_on(operation: Operation) -> Operation:
    """As workers do, whenever it is due."""
    for _ in range(20):
        Operation.objects.filter(pk=operation.pk).update(due_at="2026-01-01T00:00:00Z")
        execute_operation(operation.pk)
        operation.refresh_from_db()
        if operation.status in ("succeeded", "failed", "needs_review"):
            break
    return operation


def test_usage_takes_exactly_so_much_from_stock(client, connection, person, item) -> None:
    before, known = stock_of(client, item), len(shipments(person))
    with scope(workspace=connection.workspace_id):
        operation = work_on(wish(connection, item, "2"))
        assert operation.status == "succeeded", operation.error
        assert operation.not_applied == []
    assert Decimal(client.get(f"{ITEMS}/{item['id']}").json()["quantity_on_hand"]) == before - 2
    made = shipments(person)
    assert len(made) == known + 1 and made[-1]["state"] == "done"


@pytest.mark.parametrize("lost", ["create", "assign_try", "do"])
def test_usage_whose_answer_is_lost_is_found_by_its_mark_and_not_repeated(
    client, connection, person, item, lost, monkeypatch
) -> None:  # fmt: skip
    before, known = stock_of(client, item), len(shipments(person))
    monkeypatch.setattr(outcomes, "LOOKUP_SECONDS", (0.0,))
    lose_answer(monkeypatch, lambda call: str(call.content()).find(f".internal.{lost}") > 0)
    with scope(workspace=connection.workspace_id):
        operation = work_on(wish(connection, item, "3"))
        assert operation.status == "succeeded", (operation.status, operation.error)
    assert stock_of(client, item) == before - 3
    made = shipments(person)
    assert len(made) == known + 1 and made[-1]["state"] == "done"


def lose_answer(monkeypatch: pytest.MonkeyPatch, of: Callable[[WriteCall], bool]) -> None:
    """The first such request is done, and nobody hears of it."""
    send, lost = Tryton.send_write, list[WriteCall]()

    def losing(self: Tryton, call: WriteCall, not_after: float | None) -> Any:
        result = send(self, call, not_after)
        if of(call) and not lost:
            lost.append(call)
            raise TimeoutUnknownError("The answer was lost.")
        return result

    monkeypatch.setattr(Tryton, "send_write", losing)


def test_more_than_is_there_is_refused_before_anything_is_sent(client, connection, person, item) -> None:
    known = len(shipments(person))
    with scope(workspace=connection.workspace_id):
        operation = work_on(wish(connection, item, "100000"))
    assert operation.status == "failed" and operation.error is not None
    assert operation.error["code"] == "NOT_ENOUGH_IN_STOCK" and "were to be taken" in operation.error["message"]
    assert len(shipments(person)) == known


@pytest.mark.parametrize("quantity", ["0", "-1", "many"])
def test_quantity_that_cannot_be_used_is_refused(client, connection, item, quantity) -> None:
    response = write(client, "post", f"{ITEMS}/{item['id']}/actions/book_usage?dry_run=true", {"quantity": quantity})
    assert response.status_code == 422, response.content
    assert response.json()["errors"][0]["pointer"] == "/quantity"


def test_plan_names_the_shipment_and_its_buttons(client, connection, item) -> None:
    with scope(workspace=connection.workspace_id):
        card = card_of(connection, "inventory_item")
        with open_connector(connection) as connector:
            before = connector.decode(connector.fetch_one(card.resource, item["remote_id"]))
            change = Change(
                "action",
                {"quantity": "1"},
                remote_id=item["remote_id"],
                before=before,
                mark="lsh-x",
                action="book_usage",
            )
            calls = connector.plan(card.resource, change, compile_unmapping(card.spec, card.rows))
    assert [call.creates for call in calls] == [True, False, False, False]
    assert [call.repeatable for call in calls] == [False, True, True, True]
