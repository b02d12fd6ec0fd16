"""Purchase orders: what was ordered from a vendor, line by line."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities import samples
from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import (
    Address,
    Amount,
    Currency,
    Date,
    Part,
    Person,
    Quantity,
    Ref,
    String,
    Text,
    about,
    list_of,
)
from integrations.entities.units import Unit

Status = Literal[
    "draft", "pending_approval", "approved", "ordered", "partially_received", "received", "closed", "cancelled",
    "rejected", "unknown",
]  # fmt: skip
LineStatus = Literal["open", "partially_received", "received", "closed", "cancelled", "unknown"]


class PurchaseOrderLine(Part):
    """One line of a purchase order. Its amounts are in the currency of the order."""

    id: String = about("The source's id of the line; it names the line in updates.", writable=False)
    line_number: String = about("Position on the order as people read it, such as `10`.", max_length=32)
    item: Ref = about("The item ordered.", target="inventory_item")
    vendor_item_number: String = about("The vendor's own number for the item.", max_length=128)
    description: Text = about("What is ordered, in words.", max_length=4000)
    quantity: Quantity = about("Quantity ordered.", required_on_create=True)
    unit: Unit | None = about("Unified unit of the line's quantities.")
    unit_raw: String = about("Unit as the source writes it.", max_length=64)
    unit_price: Amount = about("Price of one unit, without tax.", unit="currency per unit")
    amount: Amount = about("Total of the line, without tax.", writable=False)
    received_quantity: Quantity = about("Quantity received so far.", writable=False)
    invoiced_quantity: Quantity = about("Quantity invoiced so far.", writable=False)
    expected_date: Date = about("Day the line is expected to arrive.")
    location: Ref = about("Where the line is to be delivered.", target="location")
    work_order: Ref = about("The work order the line is bought for.", target="work_order")
    cost_center: String = about("Cost centre or account the line is charged to.", max_length=128)
    status: LineStatus | None = about("Unified state of the line.", writable=False)
    remote_status: String = about("State of the line as the source writes it.", writable=False)


class PurchaseOrder(Entity):
    number: String = about("Order number as people know it.", filterable=True, max_length=128)
    reference: String = about(
        "Reference of the buyer's side, such as a requisition or the order in your product.",
        filterable=True,
        max_length=255,
    )
    description: Text = about("What the order is about.", max_length=4000)
    status: Status | None = about("Unified state of the order.", filterable=True)
    remote_status: String = about("State as the source writes it.", writable=False)
    vendor: Ref = about("Who delivers.", target="vendor", filterable=True, required_on_create=True)
    currency: Currency = about("Currency of every amount of the order, ISO 4217.", max_length=3)
    total_amount: Amount = about("Total with tax.", writable=False)
    untaxed_amount: Amount = about("Total without tax.", writable=False)
    tax_amount: Amount = about("Tax.", writable=False)
    order_date: Date = about("Day of the order.", filterable=True)
    expected_date: Date = about(
        "Day the goods are expected; the latest of the lines when the source has only those.", filterable=True
    )
    delivery_location: Ref = about(
        "Site, warehouse or store that receives the goods.", target="location", filterable=True
    )
    ship_to: Address | None = about("Address the goods go to.")
    buyer: Person | None = about("Who places the order.")
    payment_terms: String = about("Payment terms as the source names them, such as `30 days net`.", max_length=255)
    delivery_terms: String = about("Delivery terms as the source names them, such as `DAP Kiel`.", max_length=255)
    notes: Text = about("Free text for the vendor or the receiver.")
    lines: list[PurchaseOrderLine] = list_of("What is ordered.")

    describes: ClassVar = EntitySpec(
        name="purchase_order",
        plural="purchase_orders",
        title="Purchase order",
        id_prefix="po",
        description="An order to a vendor, with its lines, prices and receipts.",
        document=True,
        open_statuses=frozenset({"draft", "pending_approval", "approved", "ordered", "partially_received"}),
    )
    example: ClassVar = {
        "number": "PO-2026-0187",
        "reference": "REQ-5521",
        "description": "Seals for the cooling water pumps",
        "status": "partially_received",
        "remote_status": "processing",
        "vendor": samples.SUPPLIER,
        "currency": "EUR",
        "total_amount": "1904.00",
        "untaxed_amount": "1600.00",
        "tax_amount": "304.00",
        "order_date": "2026-10-05",
        "expected_date": "2026-10-19",
        "delivery_location": samples.STORE,
        "ship_to": samples.PLANT_ADDRESS,
        "buyer": samples.BUYER,
        "payment_terms": "30 days net",
        "delivery_terms": "DAP Kiel",
        "notes": "Deliver to gate 3 before noon.",
        "lines": [
            {
                "id": "4021",
                "line_number": "10",
                "item": samples.SEAL,
                "vendor_item_number": "ND-45-SS",
                "description": "Mechanical seal 45 mm, SiC/SiC",
                "quantity": "8",
                "unit": "EA",
                "unit_raw": "Stk",
                "unit_price": "200.00",
                "amount": "1600.00",
                "received_quantity": "5",
                "invoiced_quantity": "0",
                "expected_date": "2026-10-19",
                "location": samples.STORE,
                "work_order": samples.OVERHAUL,
                "cost_center": "4711-MNT",
                "status": "partially_received",
                "remote_status": "open",
            }
        ],
    }
