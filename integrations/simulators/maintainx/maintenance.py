"""Rules of work orders, assets and parts."""

from __future__ import annotations

from typing import Any

from integrations.simulators.kit.entities import Problem
from integrations.simulators.kit.messages import Answer, Body, json_answer
from integrations.simulators.kit.store import Object
from integrations.simulators.kit.tenant import Call
from integrations.simulators.maintainx.entities import ASSET_STATUSES, DOWNTIME_TYPES, WORK_ORDER_STATUSES
from integrations.simulators.maintainx.objects import API_USER_ID, Rules, found_object, show
from integrations.simulators.maintainx.refusals import body_of, invalid


def _new_work_order(call: Call, body: Body, values: Object) -> Object:
    _check_assignees(values)
    return {
        **values,
        "sequentialId": call.transaction.count("workorders"),
        "status": "OPEN",
        "priority": values["priority"] or "NONE",
        "type": values["type"] or "OTHER",
        "creatorId": API_USER_ID,
        "completerId": None,
        "startedAt": None,
        "completedAt": None,
        "partStatus": "NO_PARTS",
        "partsAvailability": "PARTS_AVAILABLE",
        "parts": [],
        "recurrenceInfo": None,
    }


def _changed_work_order(call: Call, body: Body, values: Object) -> Object:
    _check_assignees(values)
    return values


def _check_assignees(values: Object) -> None:
    for one in values.get("assignees", ()):
        if not isinstance(one, dict) or one.get("type") not in ("USER", "TEAM") or "id" not in one:
            raise invalid([Problem("assignees must be objects of type (USER or TEAM) and id", "assignees")])


WORK_ORDER_RULES = Rules(_new_work_order, _changed_work_order)


def choice(body: Body, name: str, choices: tuple[str, ...], *, required: bool = True) -> str | None:
    """A field that takes one of a few words."""
    value = body.get(name)
    if value is None and not required:
        return None
    if value not in choices:
        raise invalid([Problem(f"{name} must be one of {', '.join(choices)}", name, value)])
    return str(value)


def set_work_order_status(call: Call) -> Answer:
    """Any settable status may follow any other."""
    before = found_object(call)
    status = choice(body_of(call.request), "status", WORK_ORDER_STATUSES)
    is_done, now = status == "DONE", call.transaction.now
    changes: dict[str, Any] = {
        "status": status,
        "completedAt": now if is_done else None,
        "completerId": API_USER_ID if is_done else None,
    }
    if status == "IN_PROGRESS" and before["startedAt"] is None:
        changes["startedAt"] = now
    call.transaction.update(call.entity, before["id"], changes)
    return show(call)


def _new_asset(call: Call, body: Body, values: Object) -> Object:
    return {**values, "creatorId": API_USER_ID, "status": "ONLINE", "downtimeType": None, "depreciation": None}


ASSET_RULES = Rules(_new_asset)


def set_asset_status(call: Call) -> Answer:
    before, body = found_object(call), body_of(call.request)
    status = choice(body, "status", ASSET_STATUSES)
    downtime = choice(body, "downtimeType", DOWNTIME_TYPES, required=False)
    call.transaction.update(call.entity, before["id"], {"status": status, "downtimeType": downtime})
    return json_answer(201, {"id": call.transaction.count("assetstatuses")})


def _new_part(call: Call, body: Body, values: Object) -> Object:
    stock = values["availableQuantity"] or 0
    vendor_ids = values.pop("vendorIds")
    return {
        **values,
        **in_stock(stock),
        "reservedQuantity": 0,
        "assignedQuantity": 0,
        "orderedQuantity": 0,
        "locations": [place(values, stock)] if values["locationId"] else [],
        "vendors": [{"vendorId": number, "partNumber": None} for number in vendor_ids],
    }


def _changed_part(call: Call, body: Body, values: Object) -> Object:
    if (vendor_ids := values.pop("vendorIds", None)) is not None:
        values["vendors"] = [{"vendorId": number, "partNumber": None} for number in vendor_ids]
    if "availableQuantity" in values:
        stock = values["availableQuantity"]
        values |= in_stock(stock)
        first, *others = found_object(call)["locations"] or [None]
        if first:
            rest = sum(one["availableQuantity"] for one in others)
            values["locations"] = [first | {"availableQuantity": stock - rest}, *others]
    return values


def in_stock(quantity: float) -> Object:
    """The total under its present and its older name."""
    return {"availableQuantity": quantity, "inStockQuantity": quantity}


def place(part: Object, quantity: float) -> Object:
    """One row of a part's stock by location."""
    return {
        "locationId": part["locationId"],
        "availableQuantity": quantity,
        "minimumQuantity": part["minimumQuantity"],
        "maximumQuantity": part["maximumQuantity"],
        "area": part["area"],
    }


PART_RULES = Rules(_new_part, _changed_part)
