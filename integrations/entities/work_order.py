"""Work orders: maintenance jobs on assets and production orders for items, in one shape."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities import samples
from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import (
    Amount,
    Currency,
    Date,
    Decimal,
    Part,
    Person,
    Quantity,
    Ref,
    String,
    Text,
    UtcTime,
    about,
    list_of,
)
from integrations.entities.units import Unit

WorkOrderKind = Literal["maintenance", "production", "unknown"]
Status = Literal[
    "requested", "planned", "approved", "in_progress", "on_hold", "completed", "closed", "cancelled", "unknown"
]  # fmt: skip
Priority = Literal["none", "low", "medium", "high", "urgent", "unknown"]
WorkType = Literal[
    "corrective", "preventive", "predictive", "inspection", "calibration", "improvement", "production", "other", "unknown"
]  # fmt: skip


class WorkOrderLine(Part):
    """Material planned or used for the work. Its costs are in the currency of the work order."""

    id: String = about("The source's id of the line; it names the line in updates.", writable=False)
    item: Ref = about("The part or material.", target="inventory_item")
    description: Text = about("The material in words.", max_length=4000)
    quantity: Quantity = about("Quantity planned.")
    used_quantity: Quantity = about("Quantity issued or used so far.")
    unit: Unit | None = about("Unified unit of the line's quantities.")
    unit_raw: String = about("Unit as the source writes it.", max_length=64)
    unit_cost: Amount = about("Cost of one unit.", unit="currency per unit")
    location: Ref = about("Where the material is taken from.", target="location")


class WorkOrder(Entity):
    kind: WorkOrderKind | None = about("Maintenance of an asset or production of an item.", filterable=True)
    number: String = about("Number as people know it.", filterable=True, max_length=128)
    title: String = about("The work in one line.", max_length=255)
    description: Text = about("The work in full.")
    status: Status | None = about("Unified state of the work.", filterable=True)
    remote_status: String = about("State as the source writes it.", writable=False)
    priority: Priority | None = about("Unified priority.", filterable=True)
    remote_priority: String = about("Priority as the source writes it.", writable=False)
    work_type: WorkType | None = about("Unified type of work.")
    remote_work_type: String = about("Type of work as the source writes it, such as `PM`.", writable=False)
    asset: Ref = about("The asset worked on.", target="asset", filterable=True)
    location: Ref = about("Where the work takes place.", target="location", filterable=True)
    parent: Ref = about("The work order this one is part of.", target="work_order")
    item: Ref = about("The item produced (production).", target="inventory_item", filterable=True)
    quantity: Quantity = about("Quantity to produce (production).")
    completed_quantity: Quantity = about("Quantity produced so far (production).", writable=False)
    unit: Unit | None = about("Unified unit of the quantities to produce.")
    unit_raw: String = about("That unit as the source writes it.", max_length=64)
    planned_start: UtcTime = about("Planned start.", filterable=True)
    planned_end: UtcTime = about("Planned end.")
    actual_start: UtcTime = about("When the work began.")
    actual_end: UtcTime = about("When the work ended.")
    due_date: Date = about("Day the work must be done by.", filterable=True)
    assignees: list[Person] = list_of("Who does the work.")
    assigned_team: String = about("Team, crew or work centre that does the work.", max_length=255)
    requester: Person | None = about("Who asked for the work.")
    estimated_hours: Decimal = about("Working time planned.", unit="hours")
    actual_hours: Decimal = about("Working time booked so far.", unit="hours")
    currency: Currency = about("Currency of every amount of the work order, ISO 4217.", max_length=3)
    total_cost: Amount = about("Cost booked so far: labour, material and services.", writable=False)
    cost_center: String = about("Cost centre or account the work is charged to.", max_length=128)
    failure_code: String = about("Failure or problem code as the source writes it.", max_length=128)
    completion_notes: Text = about("What was found and done.")
    lines: list[WorkOrderLine] = list_of("Material planned and used.")

    describes: ClassVar = EntitySpec(
        name="work_order",
        plural="work_orders",
        title="Work order",
        id_prefix="wo",
        description="A maintenance job on an asset, or a production order for an item, with its times and material.",
        document=True,
        open_statuses=frozenset({"requested", "planned", "approved", "in_progress", "on_hold"}),
    )
    example: ClassVar = {
        "kind": "maintenance",
        "number": "WO-2026-00412",
        "title": "Replace mechanical seal of P-101",
        "description": "Seal leaks about 2 L/h. Isolate, drain, replace seal, check alignment.",
        "status": "in_progress",
        "remote_status": "INPRG",
        "priority": "high",
        "remote_priority": "2",
        "work_type": "corrective",
        "remote_work_type": "CM",
        "asset": samples.PUMP,
        "location": samples.PUMP_STATION,
        "parent": samples.sample_reference("wo", "50090", "WO-2026-00409"),
        "item": None,
        "quantity": None,
        "completed_quantity": None,
        "unit": None,
        "unit_raw": None,
        "planned_start": "2026-10-20T06:00:00Z",
        "planned_end": "2026-10-20T10:00:00Z",
        "actual_start": "2026-10-20T06:12:30Z",
        "actual_end": None,
        "due_date": "2026-10-21",
        "assignees": [samples.TECHNICIAN],
        "assigned_team": "Mechanics early shift",
        "requester": samples.PLANNER,
        "estimated_hours": "4",
        "actual_hours": "1.5",
        "currency": "EUR",
        "total_cost": "287.50",
        "cost_center": "4711-MNT",
        "failure_code": "LEAK",
        "completion_notes": None,
        "lines": [
            {
                "id": "7710",
                "item": samples.SEAL,
                "description": "Mechanical seal 45 mm, SiC/SiC",
                "quantity": "1",
                "used_quantity": "1",
                "unit": "EA",
                "unit_raw": "EACH",
                "unit_cost": "200.00",
                "location": samples.STORE,
            }
        ],
    }
