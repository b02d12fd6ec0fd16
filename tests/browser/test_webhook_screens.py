"""An endpoint is made, tried out, watched, rotated, paused and deleted, in a real browser, wide and narrow."""

from __future__ import annotations

from typing import Any

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from core import ids
from tests.browser.test_first_connection import SIZES, fits, owner, sign_in, workspace  # noqa: F401
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from webhooks.choices import DeliveryStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


def answered(delivery: Delivery) -> None:
    """As a worker would write a failure with a long answer."""
    with scopes_disabled():
        DeliveryAttempt.objects.create(
            id=ids.new_id(),
            workspace_id=delivery.workspace_id,
            delivery=delivery,
            number=1,
            status_code=503,
            error_code="HTTP_503",
            elapsed_ms=41.5,
            answer='{"error": "' + "upstream-is-starting-" * 40 + '"}',
        )
        Delivery.objects.filter(pk=delivery.pk).update(attempts=1, status=DeliveryStatus.EXHAUSTED, due_at=None)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_endpoint_from_its_making_to_its_end(
    page: Page, workspace: Workspace, owner: Any, erp_server: TestErpServer, size: tuple[int, int]
) -> None:
    connect(erp_server, workspace=workspace, name="Plant North")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page, owner)
    page.goto("/admin/webhooks/webhookendpoint/add/")
    assert fits(page)
    page.locator("#id_url").fill("http://app.example.com/lineshaft")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("call needs https")).to_be_visible()
    page.locator("#id_url").fill("https://app.example.com/lineshaft")
    page.locator("#id_description").fill("Order service")
    page.get_by_label("record.updated").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#signing-secret")).to_contain_text("whsec_")
    assert fits(page)
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_text("the current one")).to_be_visible()
    assert fits(page)

    page.get_by_role("link", name="Send a test").click()
    page.get_by_label("Type of event").select_option("record.updated")
    assert fits(page)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("The test is on its way")).to_be_visible()
    with scopes_disabled():
        delivery = Delivery.objects.get()
    answered(delivery)
    page.reload()
    expect(page.get_by_text("HTTP_503")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("It is sent again now")).to_be_visible()

    page.goto(f"/admin/webhooks/delivery/?endpoint={delivery.endpoint_id}")
    expect(page.get_by_text("Exhausted").first).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name="Order service").first.click()
    page.get_by_role("link", name="Deliver what was missed").click()
    assert fits(page)
    page.get_by_label("The last 7 days").check()
    page.get_by_role("button", name="Deliver it").click()
    expect(page.get_by_text("Nothing was missed in that time")).to_be_visible()

    page.get_by_role("link", name="Rotate secret").click()
    page.get_by_role("button", name="Yes, rotate it").click()
    expect(page.locator("#signing-secret")).to_contain_text("whsec_")
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("link", name="Pause").click()
    page.get_by_role("button", name="Yes, pause it").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.goto("/admin/webhooks/webhookendpoint/")
    expect(page.get_by_text("Paused").first).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name="Order service").first.click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Yes, delete it").click()
    expect(page.get_by_text("is deleted")).to_be_visible()
    with scopes_disabled():
        assert not WebhookEndpoint.objects.exists()
