"""The screens of operations in a real browser: they fit, move by themselves, and a look-alike is chosen by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from connections.models import Connection
from syncs.models import Operation
from syncs.operations.copying import record_id_of
from tests.admin_pages import change
from tests.browser.test_first_connection import SIZES, fits, owner, sign_in, workspace  # noqa: F401
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
LONG = "https://erp.example/api/v3/companies/nordring-dichtungen-gmbh/purchase-orders?expand=lines,vendor,receipts"
ERROR = {
    "code": "OUTCOME_UNKNOWN",
    "category": "timeout_unknown",
    "message": "The request was sent, and its answer was lost. Several objects carry the mark.",
    "who_must_act": "operator",
    "retryable": False,
    "action": "Look at the object in the system before trying again.",
    "source": {"status": 504, "code": "GW-12", "message": "Upstream did not answer within 60 s."},
}


@pytest.fixture
def plant(workspace: Workspace, erp_server: TestErpServer) -> Connection:
    plant = connect(erp_server, workspace=workspace, name="Plant North")
    erp_server.add_orders(3)
    run_sync(sync_of(plant))
    return plant


def call(method: str, url: str = LONG, **values: Any) -> dict[str, Any]:
    body = '{"vendor":"7","notes":"Deliver to gate 3.","lines":[{"text":"Mechanical seal","quantity":8,"price":12.50}]}'
    return {"method": method, "url": url, "body": body, "headers": {"If-Match": 'W/"7"'}, "purpose": "", **values}


def operation_of(plant: Connection, **values: Any) -> Operation:
    facts = {"entity": "purchase_order", "kind": "update", "requested_by": "erp sync service", **values}
    if facts.get("remote_id"):
        facts["record_id"] = record_id_of(plant.pk, "purchase_order", facts["remote_id"])
    with scopes_disabled():
        return Operation.objects.create(workspace_id=plant.workspace_id, connection=plant, **facts)


def in_review(plant: Connection) -> Operation:
    at = timezone.now()
    return operation_of(
        plant,
        kind="create",
        status="needs_review",
        stage="sending",
        attempts=1,
        sent_at=at,
        first_sent_at=at,
        done_at=at,
        error=ERROR,
        request={"vendor": "ven_01a20c95eb49705b9356d5951be8e048", "notes": "Deliver to gate 3."},
        values={"vendor": "7", "notes": "Deliver to gate 3."},
        diff=[
            {"pointer": "/vendor", "before": None, "after": "7"},
            {"pointer": "/notes", "before": None, "after": "G"},
        ],
        calls=[call("POST", purpose="Make the order", repeatable=False), call("PUT", f"{LONG}/{{id}}")],
        candidates=[
            {"remote_id": "1002", "why": "It carries the mark."},
            {"remote_id": "1003", "why": "It carries it."},
        ],
        mark="lsh-8e0b9356d5951be8e048",
        idempotency_key="order-17-of-plant-north-2026-11-24",
    )


@pytest.mark.usefixtures("erp_server")
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_screens_of_operations_fit(page: Page, plant: Connection, owner: Any, size: tuple[int, int]) -> None:
    review = in_review(plant)
    diff = [{"pointer": f"/lines/{n}/description", "before": "x" * 90, "after": {"text": "y" * 90}} for n in range(3)]
    missed = [{"pointer": "/notes", "wished": "Deliver to gate 3." * 9, "found": None}]
    done = {"status": "succeeded", "stage": "ended", "first_sent_at": timezone.now(), "done_at": timezone.now()}
    operation_of(plant, remote_id="1001", diff=diff, not_applied=missed, calls=[call("PATCH")], call_no=1, **done)
    with scopes_disabled():
        rows = list(Operation.objects.all())
    sign_in(page, owner)
    page.set_viewport_size({"width": size[0], "height": size[1]})

    addresses = [*(change(row) for row in rows), "/admin/syncs/operation/", change(plant), "/admin/"]
    addresses += [change(review).replace("/change/", f"/press/{name}/") for name in ("done", "not_done", "look")]
    for address in addresses:
        page.goto(address)
        assert fits(page), address


def test_page_moves_by_itself_and_brings_the_story(page: Page, plant: Connection, owner: Any) -> None:
    operation = operation_of(plant, remote_id="1001", request={"notes": "Gate 3"})
    sign_in(page, owner)
    page.goto(change(operation))
    expect(page.get_by_text("It is worked out when a worker takes it up")).to_be_visible()

    diff = [{"pointer": "/notes", "before": "", "after": "Gate 3"}]
    with scopes_disabled():
        Operation.objects.filter(pk=operation.pk).update(
            status="succeeded", stage="ended", diff=diff, calls=[call("PATCH")], call_no=1, done_at=timezone.now()
        )
    expect(page.locator("#operation-live").get_by_text("Succeeded")).to_be_visible()
    expect(page.locator("#operation-story").get_by_text("PATCH")).to_be_visible()
    assert page.locator("#operation-live[hx-trigger]").count() == 0 and page.locator("#operation-story").count() == 1


def test_look_alike_is_chosen_by_hand(page: Page, plant: Connection, owner: Any) -> None:
    operation = in_review(plant)
    sign_in(page, owner)
    page.get_by_role("link", name="Show it").click()
    page.get_by_role("link", name="ago").or_(page.get_by_role("link", name="now")).first.click()
    page.get_by_role("link", name="This is it").last.click()
    expect(page.get_by_label("The object's id in the system")).to_have_value("1003")
    page.get_by_role("button", name="Yes, it was done").click()

    expect(page.get_by_text("It counts as done now; its object is 1003.")).to_be_visible()
    with scopes_disabled():
        assert Operation.objects.get(pk=operation.pk).status == "succeeded"
