"""A connection is disconnected, reconnected and deleted by hand, in a real browser, on a wide and a narrow screen."""

from __future__ import annotations

from typing import Any

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from connections.models import Connection
from syncs.ticks import purge_deleted_connections
from tests.admin_pages import change
from tests.browser.test_first_connection import SIZES, fits, owner, sign_in, workspace  # noqa: F401
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_connection_is_ended_brought_back_and_deleted(
    page: Page, workspace: Workspace, owner: Any, erp_server: TestErpServer, size: tuple[int, int]
) -> None:
    plant = connect(erp_server, workspace=workspace, name="Plant North")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page, owner)
    page.goto(change(plant))
    page.get_by_role("link", name="Disconnect").click()
    assert fits(page)
    page.get_by_role("button", name="Yes, disconnect").click()

    page.get_by_role("link", name="Reconnect").click()
    assert fits(page)
    page.locator("input[name=secret__api_key]").fill(API_KEY)
    page.get_by_role("button", name="Reconnect and try it out").click()
    expect(page.get_by_text("Signed in as integration@erp.example").first).to_be_visible()

    page.get_by_role("link", name="Delete").click()
    assert fits(page)
    page.get_by_label("to go on").fill("Plant North")
    page.get_by_role("button", name="Yes, delete everything").click()
    expect(page.get_by_text("is deleted")).to_be_visible()
    while purge_deleted_connections():
        pass
    with scopes_disabled():
        assert not Connection.objects.exists()
