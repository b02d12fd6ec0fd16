"""Where bodies differ from what is read: lists of which one value is shown, cents, assignees, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.errors import FieldError, ValidationFailedError

Body = dict[str, Any]
# Their first value stands for all of them.
FIRST_OF = ("emails", "phoneNumbers", "partTypes", "vendorIds")


def completed(body: Body, before: Mapping[str, Any]) -> Body:
    """The body as MaintainX takes it. `before`: the object as it is, empty for a new one.

    Errors: ValidationFailedError with a pointer for a price finer than cents.
    """
    for name in FIRST_OF:
        if name in body and not isinstance(body[name], list):
            first = [] if body[name] is None else [body[name]]
            body[name] = [*first, *(before.get(name) or [])[1:]]
    if "assignees" in body:
        body["assignees"] = _assignees(body["assignees"] or [], before.get("assignees") or [])
    if isinstance(body.get("extraFields"), dict):  # custom fields hold texts alone
        body["extraFields"] = {label: _text(value) for label, value in body["extraFields"].items()}
    if isinstance(body.get("address"), dict):
        body["address"] = body["address"].get("street")
    if "items" in body:
        body["items"] = [_with_cents(item, place) for place, item in enumerate(body["items"] or [])]
    return body


def _assignees(wished: list[Body], there: list[Body]) -> list[Body]:
    """Those there are, teams too, and the users that are new. A user is named by id or e-mail address."""
    known = {(one.get("type"), str(one.get("id"))) for one in there}
    added = [one for one in wished if ("USER", str(one.get("id"))) not in known]
    return [*there, *({"type": "USER", "id": _number(one.get("id"))} for one in added)]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _with_cents(item: Body, place: int) -> Body:
    if "unitCostDecimal" not in item:
        return item
    price = item.pop("unitCostDecimal")
    if price is None:
        return {**item, "unitCost": None}
    cents = Decimal(price).scaleb(2)
    if cents != cents.to_integral_value():
        detail = f"{price} has more than the 2 decimals that MaintainX takes."
        raise ValidationFailedError(
            detail, errors=(FieldError(f"/lines/{place}/unit_price", "VALUE_NOT_ACCEPTED", detail),)
        )
    return {**item, "unitCost": int(cents)}
