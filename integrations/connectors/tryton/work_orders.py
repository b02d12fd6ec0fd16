"""Work orders: productions. Tryton has no maintenance orders in its standard modules."""

from __future__ import annotations

from typing import Any

from integrations.connectors.tryton.units import UNITS
from integrations.entities import WorkOrder
from integrations.sdk.declarations import Field, Resource, Since

READ = (
    "number",
    "reference",
    "state",
    "quantity",
    "planned_start_date",
    "planned_date",
    "effective_start_date",
    "effective_date",
    "create_date",
    "last_modified_at",
    "product.name",
    "unit.symbol",
    "bom.name",
    "warehouse.name",
    "location.name",
    "inputs.state",
    "inputs.quantity",
    "inputs.unit.symbol",
    "inputs.product.name",
    "inputs.from_location.name",
    "inputs.last_modified_at",
    "outputs.state",
    "outputs.quantity",
    "outputs.unit",
    "outputs.product",
    "outputs.last_modified_at",
)
STATUS = {
    "request": "requested",
    "draft": "planned",
    "waiting": "approved",
    "assigned": "approved",
    "running": "in_progress",
    "done": "completed",
    "cancelled": "cancelled",
}

work_orders = Resource(
    WorkOrder,
    path="production",
    parameters={"fields": READ, "state": "state"},
    changes=Since(
        "changed_at",
        parameter="last_modified_at",
        touched_by=("deleted materials", "names of products, units, warehouses and locations"),
    ),
    open_values=("request", "draft", "waiting", "assigned", "running"),
    note="Productions. Tryton plans in days: planned and actual times stand at 00:00 UTC of their day.",
    fields=(
        Field("kind", constant="production", read_only=True),
        Field("work_type", constant="production", read_only=True),
        Field("number", "number", read_only=True),
        Field("title", "product.name", read_only=True),
        Field("status", "state", values=STATUS, read_only=True),
        Field("remote_status", "state", read_only=True),
        Field("location", "location.id || warehouse.id", name="location.name || warehouse.name"),
        Field("item", "product.id", name="product.name"),
        Field("quantity", "quantity"),
        Field("completed_quantity", "completed_quantity", read_only=True),
        Field("unit", "unit.symbol", unit=UNITS),
        Field("unit_raw", "unit.symbol"),
        Field("planned_start", "planned_start_date"),
        Field("planned_end", "planned_date"),
        Field("actual_start", "effective_start_date", read_only=True),
        Field("actual_end", "effective_date", read_only=True),
        Field("due_date", "planned_date"),
        Field(
            "lines",
            "inputs",
            items=(
                Field("id", "id"),
                Field("item", "product.id", name="product.name"),
                Field("quantity", "quantity"),
                Field("used_quantity", "[@][?state=='done'] | [0].quantity", read_only=True),
                Field("unit", "unit.symbol", unit=UNITS),
                Field("unit_raw", "unit.symbol"),
                Field("location", "from_location.id", name="from_location.name"),
            ),
        ),
        Field("remote_created_at", "create_date", read_only=True),
        Field("remote_updated_at", "changed_at", read_only=True),
    ),
)


def add_completed(production: dict[str, Any]) -> None:
    """Give the production `completed_quantity`, in its own unit: its done outputs of the product itself.

    By-products are left out. Null when an output is in another unit.
    """
    if "outputs." not in production:
        return
    product, unit = (((production.get(name) or {}).get("id")) for name in ("product.", "unit."))
    done = [move for move in production["outputs."] if move["state"] == "done" and move["product"] == product]
    same_unit = all(move["unit"] == unit for move in done)
    production["completed_quantity"] = round(sum(move["quantity"] for move in done), 9) + 0.0 if same_unit else None
