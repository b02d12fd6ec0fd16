"""Work orders. Their status is changed by actions: it has a route of its own."""

from __future__ import annotations

from integrations.connectors.maintainx.lists import BY_TIME, MARK, SETTLE_SECONDS, changes
from integrations.entities import WorkOrder
from integrations.sdk.declarations import Action, Field, Resource, Write

EXPAND = ("assignees", "categories", "parts", "asset", "location", "vendor_ids", "extra_fields")
STATUS = {
    "OPEN": "approved",
    "IN_PROGRESS": "in_progress",
    "ON_HOLD": "on_hold",
    "DONE": "completed",
    "CANCELED": "cancelled",
    "SKIPPED": "cancelled",
}
PRIORITY = {"NONE": "none", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
# OTHER stands first: it is what `other` is written as; cycle counts cannot be made by the API.
TYPE = {"PREVENTIVE": "preventive", "REACTIVE": "corrective", "OTHER": "other", "CYCLE_COUNT": "other"}
KEEP = (
    "id", "sequentialId", "title", "description", "status", "priority", "type", "asset.id", "asset.name", "locationId",
    "location.name", "assignees", "requesterId", "creatorId", "completerId", "startDate", "dueDate", "dueDateIsFullDay",
    "completedAt", "createdAt", "updatedAt", "deletedAt", "vendorIds", "categories", "parts", "partStatus",
    "workOrderSummary", "extraFields",
)  # fmt: skip


def _set(name: str, title: str, status: str, text: str) -> Action:
    return Action(
        name, title, (status,), method="PATCH", path="/workorders/{id}/status", body={"status": status}, help=text
    )


work_orders = Resource(
    WorkOrder,
    path="/workorders",
    items="workOrders",
    item="workOrder",
    detail="/workorders/{id}",
    # Without `show_upcoming` those that start in the future are left out.
    parameters={"expand": EXPAND, "show_upcoming": "true"},
    detail_parameters={"expand": EXPAND},
    keep=KEEP,
    paging=BY_TIME,
    changes=changes("comments", "names of assets and locations", "availability of parts"),
    open_values=("OPEN", "IN_PROGRESS", "ON_HOLD"),
    deleted_when="deletedAt",
    note="SKIPPED (of a recurring order) is cancelled. Teams among the assignees are kept, and not shown.",
    writes=(
        Write(
            "create",
            required=("title",),
            resolve="mark",
            mark=MARK,
            settle_seconds=SETTLE_SECONDS,
            note="Each begins as OPEN. Needs the custom field `Lineshaft key` on work orders.",
        ),
        Write("update", note="Assignees that are sent are added; none are removed."),
        Write("delete", kind="soft"),
    ),
    actions=(
        _set("start", "Start", "IN_PROGRESS", "Work begins."),
        _set("hold", "Put on hold", "ON_HOLD", "Work waits for something."),
        _set("complete", "Complete", "DONE", "The work is done."),
        _set("reopen", "Reopen", "OPEN", "Back to where it began."),
        _set("cancel", "Cancel", "CANCELED", "It will not be done."),
    ),
    fields=(
        Field("kind", constant="maintenance", read_only=True),
        Field("number", "sequentialId", read_only=True),
        Field("title", "title"),
        Field("description", "description"),
        Field("status", "status", values=STATUS, read_only=True),
        Field("remote_status", "status", read_only=True),
        Field("priority", "priority", values=PRIORITY),
        Field("remote_priority", "priority", read_only=True),
        Field("work_type", "type", values=TYPE),
        Field("remote_work_type", "type", read_only=True),
        Field("asset", "asset.id", name="asset.name", write="assetId"),
        Field("location", "locationId", name="location.name"),
        Field("planned_start", "startDate"),
        Field("actual_end", "completedAt", read_only=True),
        Field("due_date", "dueDate"),
        Field("assignees", "assignees[?type=='USER']", write="assignees", items=(Field("remote_id", "id"),)),
        Field("requester", "requesterId && {id: requesterId}", items=(Field("remote_id", "id"),), read_only=True),
        Field("currency", "currency", read_only=True),
        Field("completion_notes", "workOrderSummary.content", read_only=True),
        Field(
            "lines",
            "parts",
            read_only=True,
            items=(
                Field("id", "id"),
                Field("item", "id", name="name"),
                Field("description", "name"),
                Field("used_quantity", "quantityUsed"),
                Field("unit_cost", "unitCost", minor_units=2),
                Field("location", "locationId"),
            ),
        ),
        Field("remote_created_at", "createdAt", read_only=True),
        Field("remote_updated_at", "updatedAt", read_only=True),
    ),
)
