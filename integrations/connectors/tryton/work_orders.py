"""Work orders: productions. Tryton has no maintenance orders in its standard modules."""

from __future__ import annotations

from typing import Any

from integrations.connectors.tryton.units import UNITS
from integrations.entities import WorkOrder
from integrations.protocols.jsonrpc import SETTLE_SECONDS
from integrations.sdk.declarations import Action, Field, Resource, Rule, Since, Write

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
_DRAFT_ONLY = (*("location", "item", "quantity", "unit", "unit_raw", "planned_start", "planned_end", "due_date"),)

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
    writes=(
        Write("create", required=("item", "quantity"), resolve="mark", mark="reference", settle_seconds=SETTLE_SECONDS),
        Write("update", settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="hard", only_status=("request", "draft", "cancelled"), settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="cancel", only_status=("waiting", "assigned"), settle_seconds=SETTLE_SECONDS),
    ),
    actions=(
        Action("wait", "Wait", ("waiting",), ("draft", "assigned", "running"), help="Plans the moves of materials."),
        Action("assign", "Assign", ("assigned",), ("waiting",), help="Reserves the materials; refused when some lack."),
        Action("run", "Run", ("running",), ("assigned",), help="Takes the materials from stock."),
        Action("do", "Do", ("done",), ("running",), help="Brings what was produced to stock."),
        Action(
            "cancel",
            "Cancel",
            ("cancelled",),
            ("request", "draft", "waiting", "assigned", "running", "done"),
            help="Of a production that runs or is done it takes the stock moves back; Tryton has a group for that.",
        ),
        Action("draft", "Back to draft", ("draft",), ("request", "waiting", "cancelled")),
    ),
    rules=(
        Rule(
            "update",
            only_status=("request", "draft"),
            fields=_DRAFT_ONLY,
            reason="Tryton does not allow to modify it once the production waits for its materials.",
        ),
        Rule(
            "delete",
            unless_status=("running", "done"),
            reason="to delete a production Tryton wants it cancelled; cancelling it now takes its stock moves back, so it is"
            " never done by a delete.",
        ),
    ),
    note="Productions. Tryton plans in days: planned and actual times stand at 00:00 UTC of their day.",
    fields=(
        Field("kind", constant="production", read_only=True),
        Field("work_type", constant="production", read_only=True),
        Field("number", "number", read_only=True),
        Field("title", "product.name", read_only=True),
        Field("status", "state", values=STATUS, read_only=True),
        Field("remote_status", "state", read_only=True),
        Field("location", "location.id || warehouse.id", name="location.name || warehouse.name", write="location"),
        Field("item", "product.id", name="product.name", write="product"),
        Field("quantity", "quantity"),
        Field("completed_quantity", "completed_quantity", read_only=True),
        Field("unit", "unit.symbol", unit=UNITS, write="unit"),
        Field("unit_raw", "unit.symbol", write="unit_symbol"),
        Field("planned_start", "planned_start_date"),
        Field("planned_end", "planned_date"),
        Field("actual_start", "effective_start_date", read_only=True),
        Field("actual_end", "effective_date", read_only=True),
        Field("due_date", "planned_date"),
        Field(
            "lines",
            "inputs",
            read_only=True,  # they follow from the bill of materials
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
