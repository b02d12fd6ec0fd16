"""The matrix of a connection and the page of one entity, wide and narrow."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from connections.services import NewOverride, forbid
from tests.capable_erp import CapableErp, capable_erp  # noqa: F401
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.tenants import make_person, make_workspace, signed_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("capable_erp"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
WIDTHS = (1400, 400)
NO_SIDEWAYS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_matrix_is_read_and_narrowed(page: Page, live_server: Any, erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(
        erp_server, workspace=workspace, probed={"purchase_order": {"create": False}}, name="Plant Kiel"
    )
    forbid(connection, NewOverride("purchase_order", "update", "lines", "Ask the buyer."), by="somebody")
    person = signed_in(make_person("operator", workspace))
    session = person.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    address = f"/admin/connections/connection/{connection.pk}"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{address}/change/")
        matrix = page.get_by_label("Capabilities")
        row = matrix.get_by_role("row").filter(has=page.get_by_role("link", name="Purchase order"))
        expect(row).to_contain_text("hard, cancel")
        expect(row).to_contain_text("may not be done: The account of this connection may not create purchase orders")
        expect(matrix).to_contain_text("Purchase order: update lines")
        assert page.evaluate(NO_SIDEWAYS), f"{width}: the page scrolls sideways"

        page.goto(f"{address}/capabilities/purchase_order/")
        expect(page.get_by_label("Fields")).to_contain_text("An administrator forbade lines")
        assert page.evaluate(NO_SIDEWAYS), f"{width}: the page scrolls sideways"

    page.get_by_label("Operation", exact=True).select_option("delete")
    page.get_by_label("Reason").fill("Nothing is thrown away.")
    page.get_by_role("button", name="Forbid").click()
    expect(page.get_by_text("Forbidden: delete as a whole of purchase order.")).to_be_visible()
    page.get_by_role("button", name="Allow again: Purchase order, update lines").click()
    expect(page.get_by_text("Not forbidden any more: update lines")).to_be_visible()
    expect(page.get_by_label("Forbidden")).not_to_contain_text("update lines")
