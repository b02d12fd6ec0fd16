"""Receiving what was ordered: quantities of a purchase order, its status, and the stock of the parts."""

from __future__ import annotations

from typing import Any

from integrations.simulators.kit.entities import Problem
from integrations.simulators.kit.messages import Answer, Body
from integrations.simulators.kit.store import Object
from integrations.simulators.kit.tenant import Call
from integrations.simulators.maintainx.maintenance import in_stock
from integrations.simulators.maintainx.objects import found_object, show
from integrations.simulators.maintainx.purchasing import is_number, priced, rows_of
from integrations.simulators.maintainx.refusals import body_of, invalid, refusal

RECEIVABLE = ("APPROVED", "PARTIALLY_FULFILLED", "COMPLETED")


def receive(call: Call) -> Answer:
    """Quantities are totals so far: what they exceed the last ones by comes into stock."""
    before, body = found_object(call), body_of(call.request)
    if before["status"] not in RECEIVABLE:
        raise refusal(f"A purchase order that is {before['status']} cannot be received")
    items: dict[int, Object] = {one["id"]: one for one in before["items"]}
    moves: list[tuple[Object, Object]] = []
    for sent in rows_of(body.get("items"), "items"):
        if sent.get("id") not in items:
            raise invalid([Problem(f"item {sent.get('id')} does not exist", "items", sent.get("id"))])
        old = items[sent["id"]]
        items[sent["id"]] = _received(call, old, sent)
        moves.append((old, items[sent["id"]]))
    status = _status_after(before["status"], list(items.values()))
    call.transaction.update(call.entity, before["id"], {"items": list(items.values()), "status": status})
    for old, new in moves:
        _into_stock(call, old, new)
    return show(call)


def _received(call: Call, old: Object, sent: Body) -> Object:
    if "fulfillments" in sent:
        rows = rows_of(sent["fulfillments"], "fulfillments")
        quantities: list[Any] = [one.get("quantityReceived") for one in rows]
    else:
        rows, quantities = [], [sent.get("quantityReceived")]
    if not all(is_number(one) and one >= 0 for one in quantities):
        raise invalid([Problem("quantityReceived must be a number of 0 or more", "items")])
    for one in rows:
        place = one.get("locationId")
        if place is not None and not (isinstance(place, int) and call.transaction.exists("locations", place)):
            raise invalid([Problem(f"locationId: {place} does not exist", "items", place)])
    unit_cost = sent.get("unitCost", old["unitCost"])
    if unit_cost is not None and not (isinstance(unit_cost, int) and not isinstance(unit_cost, bool)):
        raise invalid([Problem("unitCost must be an integer", "items", unit_cost)])
    shown = [
        {
            "id": one.get("id") or call.transaction.count("fulfillments"),
            "locationId": one.get("locationId"),
            "quantityReceived": f"{one['quantityReceived']:.6f}",
        }
        for one in rows
    ]
    total = sum(quantities)
    return {**old, **priced(old["quantityOrdered"], unit_cost), "quantityReceived": total, "fulfillments": shown}


def _status_after(status: str, items: list[Object]) -> str:
    if all(one["quantityReceived"] >= one["quantityOrdered"] for one in items):
        return "COMPLETED"
    is_begun = any(one["quantityReceived"] for one in items) or status != "APPROVED"
    return "PARTIALLY_FULFILLED" if is_begun else status


def _into_stock(call: Call, old: Object, new: Object) -> None:
    part_id, more = new["partId"], new["quantityReceived"] - old["quantityReceived"]
    part = call.transaction.get("parts", part_id) if part_id else None
    if part is None or not more:
        return
    places = _places_after(part, old, new, more)
    open_before, open_after = (max(0, one["quantityOrdered"] - one["quantityReceived"]) for one in (old, new))
    ordered = max(0, part["orderedQuantity"] + open_after - open_before)
    changes = {**in_stock(part["inStockQuantity"] + more), "orderedQuantity": ordered, "locations": places}
    call.transaction.update("parts", part["id"], changes)


def _places_after(part: Object, old: Object, new: Object, more: float) -> list[Object]:
    """Stock by location: where the fulfillments say, else at the first."""
    moved: dict[int, float] = {}
    for line, sign in ((old, -1), (new, 1)):
        for one in line["fulfillments"]:
            if one["locationId"] is not None:
                moved[one["locationId"]] = moved.get(one["locationId"], 0) + sign * float(one["quantityReceived"])
    places: list[Object] = list(part["locations"])
    if not moved and places:
        moved = {places[0]["locationId"]: more}
    known = {one["locationId"] for one in places}
    blank = {"minimumQuantity": None, "maximumQuantity": None, "area": None, "availableQuantity": 0}
    places += [{**blank, "locationId": number} for number in moved if number not in known]
    return [
        one | {"availableQuantity": _whole(one["availableQuantity"] + moved.get(one["locationId"], 0))}
        for one in places
    ]


def _whole(quantity: float) -> float:
    return int(quantity) if quantity == int(quantity) else quantity
