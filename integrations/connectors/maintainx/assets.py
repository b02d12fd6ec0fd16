"""Assets. Their status is changed by actions, which begin a new entry in the asset's history."""

from __future__ import annotations

from integrations.connectors.maintainx.lists import BY_TIME, MARK, SETTLE_SECONDS, changes
from integrations.entities import Asset
from integrations.sdk.declarations import Action, Field, Parameter, Resource, Write

STATUS = {"ONLINE": "active", "OFFLINE": "down", "IGNORE": "inactive"}
# The document shows an object with the word in it; a word alone is taken too.
_STATUS = "type(status)=='string' && status || status.status"
KEEP = (
    "id", "name", "description", "parentId", "criticalityId", "locationId", "serialNumber", "barcode", "manufacturer",
    "model", "vendorIds", "teamIds", "status", "depreciation", "extraFields", "createdAt", "updatedAt",
)  # fmt: skip
EXPAND = (
    "barcode", "team_ids", "extra_fields", "vendor_ids", "depreciation", "status", "manufacturer", "model",
)  # fmt: skip


def _set(name: str, title: str, status: str, *parameters: Parameter, text: str) -> Action:
    return Action(
        name,
        title,
        (status,),
        parameters=parameters,
        method="POST",
        path="/assets/{id}/status",
        body={"status": status},
        help=text,
    )


_DOWNTIME = Parameter(
    "downtime", "enum", values=("PLANNED", "UNPLANNED"), source="downtimeType", help="Whether it was planned"
)

assets = Resource(
    Asset,
    path="/assets",
    items="assets",
    item="asset",
    detail="/assets/{id}",
    parameters={"expand": EXPAND},
    keep=KEEP,
    paging=BY_TIME,
    changes=changes("comments"),
    deleted_when="deletedAt",
    note="Of several vendors the first is shown. Custom statuses are shown as the one they stand for.",
    writes=(
        Write(
            "create",
            resolve="mark",
            mark=MARK,
            settle_seconds=SETTLE_SECONDS,
            note="Needs the custom field `Lineshaft key` on assets.",
        ),
        Write("update"),
        Write("delete", kind="soft"),
    ),
    actions=(
        _set("online", "Set online", "ONLINE", text="It runs, or could."),
        _set("offline", "Set offline", "OFFLINE", _DOWNTIME, text="It stands still."),
        _set("ignore", "Do not track", "IGNORE", text="Neither running nor standing still counts."),
    ),
    fields=(
        Field("name", "name"),
        Field("description", "description"),
        Field("status", _STATUS, values=STATUS, read_only=True),
        Field("remote_status", _STATUS, read_only=True),
        Field("remote_criticality", "criticalityId", read_only=True),
        Field("parent", "parentId"),
        Field("location", "locationId"),
        Field("vendor", "vendorIds[0]", write="vendorIds"),
        # Written by looking up makers and models that MaintainX knows already.
        Field("manufacturer", "type(manufacturer)=='string' && manufacturer || manufacturer.name", read_only=True),
        Field("model", "type(model)=='string' && model || model.name", read_only=True),
        Field("serial_number", "serialNumber"),
        Field("barcode", "barcode"),
        Field("currency", "currency", read_only=True),
        Field("purchase_cost", "depreciation.purchasePrice", read_only=True),
        Field("purchase_date", "depreciation.purchaseDate", read_only=True),
        Field("remote_created_at", "createdAt", read_only=True),
        Field("remote_updated_at", "updatedAt", read_only=True),
    ),
)
