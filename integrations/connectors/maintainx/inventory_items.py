"""Inventory items: parts, with their stock at each location."""

from __future__ import annotations

from integrations.connectors.maintainx.lists import BY_TIME, MARK, SETTLE_SECONDS, changes
from integrations.entities import InventoryItem
from integrations.sdk.declarations import Field, Resource, Write

KEEP = (
    "id", "name", "description", "barcode", "unitCost", "availableQuantity", "inStockQuantity", "reservedQuantity",
    "assignedQuantity", "orderedQuantity", "minimumQuantity", "maximumQuantity", "area", "locationId", "locations",
    "partTypes", "vendors", "extraFields", "createdAt", "updatedAt",
)  # fmt: skip

inventory_items = Resource(
    InventoryItem,
    path="/parts",
    items="parts",
    item="part",
    detail="/parts/{id}",
    parameters={"expand": ("extra_fields", "vendors")},
    keep=KEEP,
    paging=BY_TIME,
    changes=changes("comments"),
    deleted_when="deletedAt",
    note="Costs are kept in cents. `minimum_quantity` is the quantity at which the part is to be ordered again.",
    writes=(
        Write(
            "create",
            resolve="mark",
            mark=MARK,
            settle_seconds=SETTLE_SECONDS,
            note="Needs the custom field `Lineshaft key` on parts.",
        ),
        Write("update"),
        Write("delete", kind="soft"),
    ),
    fields=(
        Field("name", "name"),
        Field("description", "description"),
        Field("kind", constant="spare_part", read_only=True),
        Field("category", "partTypes[0]", write="partTypes"),
        Field("currency", "currency", read_only=True),
        Field("unit_cost", "unitCost", minor_units=2),
        Field("barcode", "barcode"),
        # The same quantity under its present and its older name, which is the one that can be written.
        Field("quantity_on_hand", "not_null(inStockQuantity, availableQuantity)", write="availableQuantity"),
        Field("quantity_reserved", "reservedQuantity", read_only=True),
        Field("quantity_on_order", "orderedQuantity", read_only=True),
        Field("minimum_quantity", "minimumQuantity"),
        Field("maximum_quantity", "maximumQuantity", read_only=True),
        Field("vendor", "vendors[0].vendorId", read_only=True),
        Field(
            "stock",
            "locations",
            read_only=True,
            items=(
                Field("location", "locationId"),
                Field("bin", "area"),
                Field("quantity_on_hand", "availableQuantity"),
                Field("quantity_reserved", "reservedQuantity"),
            ),
        ),
        Field("remote_created_at", "createdAt", read_only=True),
        Field("remote_updated_at", "updatedAt", read_only=True),
    ),
)
