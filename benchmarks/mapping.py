"""The mapping that the scripts beside the platform apply: upstream purchase order to unified record, written by hand."""

from __future__ import annotations

from typing import Any

STATUS = {
    "draft": "draft",
    "submitted": "open",
    "approved": "open",
    "partially_received": "partial",
    "received": "received",
    "closed": "closed",
    "cancelled": "cancelled",
}


def unify(raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of `benchmarks.models.Order`, `lines` and `custom` as plain JSON values."""
    vendor = raw["vendor"]
    return {
        "key": raw["id"],
        "number": raw["number"],
        "revision": raw["revision"],
        "status": STATUS[raw["status"]],
        "supplier_id": vendor["id"],
        "supplier_name": vendor["name"],
        "currency": raw["currency"],
        "total": raw["total"],
        "site": raw["site"]["code"],
        "ordered_on": raw["ordered_on"],
        "expected_on": raw["expected_on"],
        "lines": [
            {
                "position": line["line_no"],
                "sku": line["item"]["sku"],
                "description": line["item"]["description"],
                "quantity": line["quantity"],
                "unit": line["uom"],
                "unit_price": line["unit_price"],
                "amount": line["amount"],
            }
            for line in raw["lines"]
        ],
        "custom": raw["custom_fields"],
        "updated_at": raw["updated_at"],
        "deleted": raw["deleted"],
    }
