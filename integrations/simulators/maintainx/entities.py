"""What the API keeps: paths, fields, what lists show, how they are filtered and sorted.

Source: the vendor's OpenAPI document, "MaintainX API", version 1.
"""

from __future__ import annotations

from integrations.simulators.kit.entities import Entity, Field

WORK_ORDER_STATUSES = ("OPEN", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELED")  # SKIPPED cannot be set
PRIORITIES = ("NONE", "LOW", "MEDIUM", "HIGH")
WORK_ORDER_TYPES = ("PREVENTIVE", "REACTIVE", "OTHER")  # CYCLE_COUNT cannot be made
ASSET_STATUSES = ("ONLINE", "OFFLINE", "IGNORE")
DOWNTIME_TYPES = ("PLANNED", "UNPLANNED")
COST_TYPES = ("AMOUNT_TAXABLE", "AMOUNT_NON_TAXABLE", "PERCENT_TAXABLE")

_TIMES = ("updatedAt", "createdAt")

LOCATIONS = Entity(
    "locations", "location", "locations",
    fields=(
        Field("name", required=True), Field("description"), Field("address"), Field("barcode"),
        Field("parentId", "reference", target="locations"), Field("vendorIds", "ids", target="vendors"),
    ),
    listed=("id", "name", "description", "address", "parentId", "createdAt", "updatedAt", "organizationId"),
    expand={"barcode": "barcode", "team_ids": "teamIds", "vendor_ids": "vendorIds"},
)  # fmt: skip

VENDORS = Entity(
    "vendors", "vendor", "vendors",
    fields=(
        Field("name", required=True), Field("description"), Field("emails", "array", nullable=False),
        Field("phoneNumbers", "array", nullable=False), Field("extraFields", "labels", nullable=False),
    ),
    listed=("id", "name"),
    expand={"extra_fields": "extraFields"},
)  # fmt: skip

ASSETS = Entity(
    "assets", "asset", "assets",
    fields=(
        Field("name", required=True), Field("description"), Field("parentId", "reference", target="assets"),
        Field("locationId", "reference", target="locations"), Field("serialNumber"), Field("barcode"),
        Field("manufacturer"), Field("model"), Field("criticalityId", "integer"),
        Field("vendorIds", "ids", target="vendors"), Field("teamIds", "array"),
        Field("extraFields", "labels", nullable=False),
    ),
    listed=(
        "id", "name", "description", "parentId", "criticalityId", "locationId", "serialNumber", "createdAt",
        "updatedAt", "creatorId", "organizationId",
    ),
    expand={
        "barcode": "barcode", "team_ids": "teamIds", "vendor_ids": "vendorIds", "extra_fields": "extraFields",
        "depreciation": "depreciation", "status": "status", "manufacturer": "manufacturer", "model": "model",
    },
    sorts=("id", *_TIMES), ranges=_TIMES,
    filters={"locationId": "locationId", "manufacturer": "manufacturer", "model": "model"},
)  # fmt: skip

PARTS = Entity(
    "parts", "part", "parts",
    fields=(
        Field("name", required=True), Field("description"), Field("barcode"), Field("unitCost", "integer"),
        Field("availableQuantity", "number", nullable=False), Field("minimumQuantity", "number"),
        Field("maximumQuantity", "number"), Field("area"), Field("locationId", "reference", target="locations"),
        Field("partTypes", "array", nullable=False), Field("vendorIds", "ids", target="vendors"),
        Field("extraFields", "labels", nullable=False),
    ),
    listed=(
        "id", "name", "description", "barcode", "locationId", "locations", "area", "unitCost", "availableQuantity",
        "inStockQuantity", "reservedQuantity", "assignedQuantity", "orderedQuantity", "minimumQuantity",
        "maximumQuantity", "partTypes", "createdAt", "updatedAt", "organizationId",
    ),
    expand={"extra_fields": "extraFields", "vendors": "vendors"},
    sorts=("id", *_TIMES), ranges=_TIMES,
)  # fmt: skip

WORK_ORDERS = Entity(
    "workorders", "workOrder", "workOrders",
    fields=(
        Field("title", required=True), Field("description"), Field("priority", choices=PRIORITIES, nullable=False),
        Field("type", choices=WORK_ORDER_TYPES), Field("assetId", "reference", target="assets"),
        Field("locationId", "reference", target="locations"), Field("assignees", "array", nullable=False),
        Field("requesterId", "reference", target="users"), Field("startDate", "time"), Field("dueDate", "time"),
        Field("dueDateIsFullDay", "boolean"), Field("vendorIds", "ids", target="vendors", nullable=False),
        Field("categories", "array", nullable=False), Field("extraFields", "labels", nullable=False),
    ),
    listed=(
        "id", "sequentialId", "title", "updatedAt", "status", "completedAt", "completerId", "createdAt", "creatorId",
        "deletedAt", "description", "dueDate", "dueDateIsFullDay", "startDate", "locationId", "organizationId",
        "partsAvailability", "partStatus", "priority", "recurrenceInfo", "requesterId", "type",
    ),
    expand={
        "assignees": "assignees", "categories": "categories", "parts": "parts", "vendor_ids": "vendorIds",
        "extra_fields": "extraFields",
    },
    embed={"asset": ("asset", "assetId", "assets"), "location": ("location", "locationId", "locations")},
    sorts=("id", *_TIMES, "dueDate", "startedAt", "completedAt"), ranges=_TIMES,
    filters={
        "statuses": "status", "priorities": "priority", "assets": "assetId", "locations": "locationId",
        "vendors": "vendorIds", "assignees": "assignees", "categories": "categories",
    },
)  # fmt: skip

PURCHASE_ORDERS = Entity(
    "purchaseorders", "purchaseOrder", "purchaseOrders",
    fields=(
        Field("title"), Field("overrideNumber"), Field("note"), Field("reviewNote"), Field("dueDate", "time"),
        Field("vendorId", "reference", target="vendors"), Field("costs", "array", nullable=False),
    ),
    listed=("id", "status", "createdAt", "updatedAt"),
    sorts=("id", *_TIMES), ranges=_TIMES,
    filters={"statuses": "status", "vendors": "vendorId"},
)  # fmt: skip

USERS = Entity("users", "user", "users", writable=False)

ENTITIES = (LOCATIONS, VENDORS, ASSETS, PARTS, WORK_ORDERS, PURCHASE_ORDERS, USERS)
