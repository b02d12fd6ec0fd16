"""The connector to the simulated upstream: every field of its orders that the unified form has a place for."""

from __future__ import annotations

from datetime import timedelta

from integrations.entities import PurchaseOrder
from integrations.protocols.paging import Cursor
from integrations.protocols.rest import RestConnector
from integrations.sdk.declarations import Field, Limits, Resource, Since, Url

STATUS = {
    "draft": "draft",
    "submitted": "pending_approval",
    "approved": "approved",
    "partially_received": "partially_received",
    "received": "received",
    "closed": "closed",
    "cancelled": "cancelled",
}
UNITS = {"EA": "EA", "BX": "BOX", "KG": "KG", "M": "M", "L": "L"}


class BenchErp(RestConnector):
    """An invented ERP, served by `benchmarks.upstream`."""

    slug, title, version = "bench-erp", "Bench ERP", "1"
    summary = "The simulated upstream of the benchmarks."
    simulated = True
    config = (Url("base_url", help="Address of the simulated upstream"),)
    limits = Limits(page_size=500)
    check_path = "/me"

    purchase_orders = Resource(
        PurchaseOrder,
        path="/orders",
        items="data",
        detail="/orders/{id}",
        paging=Cursor(total="total"),
        # No overlap: like the scripts beside it, an incremental run asks for what changed since the newest it has seen.
        changes=Since("updated_at", parameter="updated_since", overlap=timedelta(0)),
        open_values=("draft", "submitted", "approved", "partially_received"),
        fields=(
            Field("number", "number", read_only=True),
            Field("status", "status", values=STATUS, read_only=True),
            Field("remote_status", "status", read_only=True),
            Field("vendor", "vendor.id", name="vendor.name"),
            Field("currency", "currency"),
            Field("total_amount", "total", read_only=True),
            Field("order_date", "ordered_on"),
            Field("expected_date", "expected_on"),
            Field("delivery_location", "site.code", name="site.name"),
            Field(
                "lines",
                "lines",
                items=(
                    Field("id", "line_no"),
                    Field("line_number", "line_no"),
                    Field("item", "item.sku", name="item.description"),
                    Field("description", "item.description"),
                    Field("quantity", "quantity"),
                    Field("unit", "uom", unit=UNITS),
                    Field("unit_raw", "uom"),
                    Field("unit_price", "unit_price"),
                    Field("amount", "amount"),
                    Field("received_quantity", "received_quantity"),
                ),
            ),
            Field("custom.type", "type"),
            Field("custom.revision", "revision"),
            Field("custom.cost_center", "custom_fields.cost_center"),
            Field("custom.project_code", "custom_fields.project_code"),
            Field("custom.priority", "custom_fields.priority"),
            Field("custom.inspected", "custom_fields.inspected"),
            Field("remote_created_at", "created_at", read_only=True),
            Field("remote_updated_at", "updated_at", read_only=True),
        ),
    )
