"""The connector of the test ERP."""

from __future__ import annotations

from typing import ClassVar

from core.errors import NotFoundError
from integrations.entities import PurchaseOrder, Vendor
from integrations.protocols.paging import Cursor
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import HeaderKey
from integrations.sdk.declarations import (
    Boolean,
    Choice,
    Field,
    Integer,
    Limits,
    Resource,
    Rule,
    Secret,
    Since,
    Text,
    Url,
    Write,
)
from integrations.sdk.pages import CheckResult, Page, Position, PositionExpiredError, Window

SLUG = "test-erp"
ORDER_STATUS = {
    "draft": "draft",
    "open": "ordered",
    "part": "partially_received",
    "done": "received",
    "void": "cancelled",
}


class TestErp(RestConnector):
    """Purchase orders with changes, vendors without: both ways of keeping fresh."""

    __test__: ClassVar[bool] = False  # not a class of tests

    slug, title, version = SLUG, "Test ERP", "1"
    docs = "https://erp.example/docs"
    summary = "An invented ERP for tests."
    config = (
        Url("base_url", help="Address of the server, e.g. https://erp.example/api"),
        Secret("api_key", help="Key of the integration user"),
        Text("company", required=False, help="Company to read; empty for all"),
        Choice("site", {"north": "North plant", "south": "South plant"}, required=False, default="north"),
        Integer("fiscal_year", required=False),
        Boolean("archived", required=False, default=False),
    )
    auth = HeaderKey("X-Api-Key", secret="api_key")
    limits = Limits(page_size=500)
    check_path = "/me"
    call_seconds = 10.0

    purchase_orders = Resource(
        PurchaseOrder,
        path="/orders",
        items="items",
        detail="/orders/{id}",
        paging=Cursor(total="total"),
        changes=Since("updated_at", parameter="updated_since", touched_by=("receipts",)),
        open_values=("draft", "open", "part"),
        writes=(Write("create", fields=("vendor", "notes", "lines")), Write("delete", kind="cancel")),
        rules=(Rule("delete", unless_status=("received",), reason="Received orders stay."),),
        fields=(
            Field("number", "number", read_only=True),
            Field("description", "text"),
            Field("status", "status", values=ORDER_STATUS, read_only=True),
            Field("remote_status", "status", read_only=True),
            Field("vendor", "vendor_id", name="vendor_name"),
            Field("currency", "currency"),
            Field("total_amount", "total", read_only=True),
            Field("order_date", "ordered_on"),
            Field("notes", "notes"),
            Field(
                "lines",
                "lines",
                items=(
                    Field("id", "id"),
                    Field("line_number", "position"),
                    Field("description", "text"),
                    Field("quantity", "quantity"),
                    Field("unit", "unit", unit={"pcs": "EA", "kg": "KG"}),
                    Field("unit_raw", "unit"),
                    Field("unit_price", "price"),
                ),
            ),
            Field("remote_created_at", "created_at", read_only=True),
            Field("remote_updated_at", "updated_at", read_only=True),
        ),
    )
    vendors = Resource(
        Vendor,
        path="/vendors",
        items="items",
        detail="/vendors/{id}",
        paging=Cursor(total="total"),
        fields=(
            Field("number", "code"),
            Field("name", "name"),
            Field("status", "blocked", values={"true": "blocked", "false": "active"}),
            Field("email", "email"),
        ),
    )

    def check(self) -> CheckResult:
        me = self.get(self.url(self.check_path), {}).json()
        return CheckResult(account=me["user"], version=me["version"], now=self.now())

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        try:
            return super().fetch_page(resource, window, position)
        except NotFoundError as error:
            if position is None or error.source is None or error.source.status != 410:
                raise
            raise PositionExpiredError("The system forgot its page token.", source=error.source) from error
