"""Booking what was used of a product: an internal shipment from where most of it lies to a lost-and-found location.

Relative, so that whatever else moves stock meanwhile stays right. One shipment is made, then brought to its end by its
buttons. Its `reference` is the operation's mark: by it the shipment is found again, so that it is never made twice, and the
buttons need no id that was not known when they were planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from core.errors import BusinessRuleError, FieldError, ValidationFailedError
from integrations.connectors.tryton.shape import Call
from integrations.connectors.tryton.writing import Office
from integrations.protocols.jsonrpc import RpcRefusedError
from integrations.protocols.typed_json import plain, typed_date
from integrations.sdk.writes import Change, WriteCall

SHIPMENT = "model.stock.shipment.internal"
ACTION = "book_usage"
_BUTTONS = (("wait", "Plan the shipment"), ("assign_try", "Reserve the goods"), ("do", "Take the goods from stock"))
# Pressed again, each of them finds the shipment past it.
_DONE_BY = {
    "wait": ("waiting", "assigned", "packed", "shipped", "done"),
    "assign_try": ("assigned", "packed", "shipped", "done"),
    "do": ("done",),
}


def plan_usage(change: Change, office: Office, *, noun: str) -> list[WriteCall]:
    """The shipment, and its buttons. Errors: ValidationFailedError for the quantity; BusinessRuleError where no location
    has so much."""
    quantity = _quantity(change.values.get("quantity"))
    product = int(change.remote_id or 0)
    place = _fullest(office, product)
    if place is None or Decimal(str(place["quantity"])) < quantity:
        there = f"{place['quantity']:g} at {place['name']}" if place else "nothing in any storage location"
        raise BusinessRuleError(
            f"There is not enough of this {noun} in one place: {there}, and {quantity:f} were to be taken.",
            code="NOT_ENOUGH_IN_STOCK",
        )
    values = _shipment(office, product, quantity, place["id"], change.mark)
    return [
        office.planned(f"{SHIPMENT}.create", [values], purpose=f"Ship {quantity:f} of the {noun} out", creates=True),
        *(
            replace(
                office.planned(f"{SHIPMENT}.{button}", {"reference": change.mark}, purpose=purpose), late=("params",)
            )
            for button, purpose in _BUTTONS
        ),
    ]


def is_usage(call: WriteCall) -> bool:
    """Whether the call is one of those planned here."""
    return str(_planned(call).get("method")).startswith(f"{SHIPMENT}.")


def was_shipped(call: WriteCall, look: Call) -> bool:
    """Whether a call of unknown outcome was done."""
    method, reference = _planned(call)["method"].rpartition(".")[2], _reference(call)
    states = _states(reference, look)
    return bool(states) if method == "create" else bool(states) and states[0]["state"] in _DONE_BY[method]


def ready(call: WriteCall, look: Call) -> WriteCall | None:
    """A button with the shipment's id in the place of its reference; None when it was pressed already."""
    planned = _planned(call)
    method = planned["method"].rpartition(".")[2]
    if method == "create":
        return call
    found = _states(planned["params"][0]["reference"], look)
    if not found:
        raise RpcRefusedError("The shipment of this usage is gone from Tryton; nothing was taken from stock.")
    if found[0]["state"] in _DONE_BY[method]:
        return None
    body = {"method": planned["method"], "params": [[found[0]["id"]], *planned["params"][1:]]}
    return WriteCall.from_json({**call.as_json(), "body": orjson.dumps(body).decode()})


def demand_done(call: WriteCall, look: Call) -> None:
    """Tryton answers nothing when it could not reserve the goods. Errors: RpcRefusedError."""
    planned = _planned(call)
    if not planned["method"].endswith(".assign_try"):
        return
    states = look(f"{SHIPMENT}.read", planned["params"][0], ["state", "number"])
    if states and states[0]["state"] == "waiting":
        raise RpcRefusedError(
            f"Tryton could not reserve the goods. Shipment {states[0].get('number') or ''} waits there: cancel it, or assign it"
            " when there is stock.",
            code="NOT_ENOUGH_IN_STOCK",
        )


def _quantity(value: Any) -> Decimal:
    try:
        quantity = Decimal(str(value))
    except InvalidOperation:
        quantity = Decimal("NaN")
    if not quantity.is_finite() or quantity <= 0:
        detail = "The quantity used must be a number above 0."
        raise ValidationFailedError(detail, errors=(FieldError("/quantity", "INVALID", detail),))
    return quantity


def _fullest(office: Office, product: int) -> Mapping[str, Any] | None:
    """The storage location with most of the product, as of today."""
    domain = [["type", "=", "storage"], ["quantity", ">", 0]]
    context = {"product": product, "with_childs": False, "stock_date_end": typed_date(office.today())}
    fields = ["name", "quantity"]
    places = plain(office.look("model.stock.location.search_read", domain, 0, None, [["id", "ASC"]], fields, **context))
    return max(places, key=lambda place: place["quantity"], default=None)


def _shipment(office: Office, product: int, quantity: Decimal, place: int, mark: str) -> dict[str, Any]:
    lost = office.look("model.stock.location.search", [["type", "=", "lost_found"]], 0, 1, [["id", "ASC"]])
    if not lost:
        raise BusinessRuleError("This plant has no lost-and-found location, which usage is booked to.", code="NO_PLACE")
    rows = office.look("model.product.product.read", [product], ["default_uom"])
    company = office.look(f"{SHIPMENT}.default_get", ["company"], False).get("company")
    move = {
        "product": product,
        "unit": rows[0]["default_uom"],
        "quantity": float(quantity),
        "from_location": place,
        "to_location": lost[0],
        "company": company,
    }
    return {
        "company": company,
        "from_location": place,
        "to_location": lost[0],
        "reference": mark,
        "moves": [["create", [move]]],
    }


def _states(reference: str, look: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = look(
        f"{SHIPMENT}.search_read", [["reference", "=", reference]], 0, 1, [["id", "ASC"]], ["state"]
    )
    return found


def _reference(call: WriteCall) -> str:
    planned = _planned(call)
    first = planned["params"][0]
    return str(first[0]["reference"] if planned["method"].endswith(".create") else first["reference"])


def _planned(call: WriteCall) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(call.content() or b"{}")
    return found
