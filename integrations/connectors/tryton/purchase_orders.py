"""Purchase orders with their lines and receipts."""

from __future__ import annotations

from typing import Any

from integrations.connectors.tryton.units import UNITS
from integrations.entities import PurchaseOrder
from integrations.protocols.jsonrpc import SETTLE_SECONDS
from integrations.sdk.declarations import Action, Field, Resource, Rule, Since, Write

READ = (
    "number",
    "reference",
    "description",
    "comment",
    "state",
    "shipment_state",
    "invoice_state",
    "purchase_date",
    "delivery_date",
    "untaxed_amount",
    "tax_amount",
    "total_amount",
    "create_date",
    "last_modified_at",
    "party.name",
    "currency.code",
    "payment_term.name",
    "warehouse.name",
    "quoted_by.rec_name",
    "lines.sequence",
    "lines.type",
    "lines.description",
    "lines.quantity",
    "lines.unit.symbol",
    "lines.unit_price",
    "lines.amount",
    "lines.delivery_date",
    "lines.product.name",
    "lines.product_supplier.code",
    "lines.last_modified_at",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines.moves.unit",
    "lines.moves.last_modified_at",
)
_RECEIPTS = {
    "none": "ordered",
    "waiting": "ordered",
    "exception": "ordered",
    "partially shipped": "partially_received",
    "received": "received",
}
_BY_STATE = {"draft": "draft", "quotation": "pending_approval", "confirmed": "approved", "done": "closed"}
STATUS = {
    **{f"{state}/{shipped}": status for state, status in _BY_STATE.items() for shipped in _RECEIPTS},
    **{f"cancelled/{shipped}": "cancelled" for shipped in _RECEIPTS},
    **{f"processing/{shipped}": status for shipped, status in _RECEIPTS.items()},
}
"""`state/shipment_state` -> unified status: only a processing purchase is told by what has arrived."""
_SAYS = "Tryton does not allow to modify it once the purchase is"

purchase_orders = Resource(
    PurchaseOrder,
    path="purchase.purchase",
    parameters={"fields": READ, "state": "state"},
    changes=Since(
        "changed_at",
        parameter="last_modified_at",
        touched_by=("deleted lines", "names of vendors, products, units and payment terms"),
    ),
    open_values=("draft", "quotation", "confirmed", "processing"),
    writes=(
        Write("create", resolve="mark", mark="reference", mark_field="reference", settle_seconds=SETTLE_SECONDS),
        Write("update", settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="hard", only_status=("draft", "cancelled"), settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="cancel", only_status=("quotation",), settle_seconds=SETTLE_SECONDS),
    ),
    actions=(
        Action("quote", "Quote", ("quotation",), ("draft",), help="Ends the draft and gives it its number."),
        Action(
            "confirm",
            "Confirm",
            ("confirmed", "processing", "done"),
            ("quotation",),
            help="Tryton goes on to processing by itself, unless the plant delays it or something is missing.",
        ),
        Action("process", "Process", ("processing", "done"), ("confirmed",), help="Makes shipments and invoices."),
        Action("cancel", "Cancel", ("cancelled",), ("draft", "quotation")),
        Action("draft", "Back to draft", ("draft",), ("quotation", "confirmed", "cancelled")),
    ),
    rules=(
        Rule(
            "update",
            only_status=("draft",),
            fields=("description", "vendor", "currency", "delivery_location", "lines"),
            reason=f"{_SAYS} no draft any more.",
        ),
        Rule(
            "update",
            only_status=("draft", "quotation"),
            fields=("order_date", "payment_terms"),
            reason=f"{_SAYS} confirmed or cancelled.",
        ),
        Rule(
            "update",
            only_status=("draft", "quotation", "confirmed"),
            fields=("expected_date",),
            reason=f"{_SAYS} in process, done or cancelled.",
        ),
        Rule(
            "delete",
            unless_status=("confirmed", "processing", "done"),
            reason="to delete a purchase Tryton wants it cancelled, and it cancels only drafts and quotations.",
        ),
    ),
    note="remote_status is the purchase's state; shipment_state and invoice_state stand in the raw object.",
    fields=(
        Field("number", "number", read_only=True),
        Field("reference", "reference"),
        Field("description", "description"),
        Field("status", "join('/', [state, shipment_state])", values=STATUS, read_only=True),
        Field("remote_status", "state", read_only=True),
        Field("vendor", "party.id", name="party.name", write="party"),
        Field("currency", "currency.code", write="currency"),
        Field("total_amount", "total_amount", read_only=True),
        Field("untaxed_amount", "untaxed_amount", read_only=True),
        Field("tax_amount", "tax_amount", read_only=True),
        Field("order_date", "purchase_date"),
        Field("expected_date", "delivery_date || max(lines[?delivery_date].delivery_date)", write="delivery_date"),
        Field("delivery_location", "warehouse.id", name="warehouse.name", write="warehouse"),
        Field("buyer", "quoted_by", items=(Field("remote_id", "id"), Field("name", "rec_name")), read_only=True),
        Field("payment_terms", "payment_term.name", write="payment_term"),
        Field("notes", "comment"),
        Field(
            "lines",
            "lines[?type=='line']",
            write="lines",
            items=(
                Field("id", "id"),
                Field("line_number", "sequence"),
                Field("item", "product.id", name="product.name", write="product"),
                Field("vendor_item_number", "product_supplier.code", read_only=True),
                Field("description", "description"),
                Field("quantity", "quantity"),
                Field("unit", "unit.symbol", unit=UNITS, write="unit"),
                Field("unit_raw", "unit.symbol", write="unit_symbol"),
                Field("unit_price", "unit_price"),
                Field("amount", "amount", read_only=True),
                Field("received_quantity", "received_quantity", read_only=True),
                Field("expected_date", "delivery_date"),
            ),
        ),
        Field("remote_created_at", "create_date", read_only=True),
        Field("remote_updated_at", "changed_at", read_only=True),
    ),
)


def add_receipts(purchase: dict[str, Any]) -> None:
    """Give each line `received_quantity`, in its own unit: the sum of its done moves.

    Null when a move is in another unit: converting is the system's business. Returned goods count as negative, like
    the quantity of their line.
    """
    for line in purchase.get("lines.") or ():
        if line.get("type") != "line" or "moves." not in line:
            continue
        unit = (line.get("unit.") or {}).get("id")
        done = [move for move in line["moves."] if move["state"] == "done"]
        if all(move["unit"] == unit for move in done):
            sign = -1.0 if (line.get("quantity") or 0) < 0 else 1.0
            line["received_quantity"] = round(sum(move["quantity"] for move in done) * sign, 9) + 0.0
        else:
            line["received_quantity"] = None
