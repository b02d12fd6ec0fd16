"""The rows of the test ERP, as it writes them."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def order_of(remote_id: str) -> tuple[int, int | str]:
    """Numbers by value, then everything else by text."""
    return (0, int(remote_id)) if remote_id.isdecimal() else (1, remote_id)


def order(number: int, **values: Any) -> Row:
    """An order as the system writes it."""
    lines = [
        {
            "id": f"{number}-1",
            "position": 10,
            "text": "Mechanical seal",
            "quantity": 8,
            "unit": "pcs",
            "price": "12.50",
        },
        {"id": f"{number}-2", "position": 20, "text": "Grease", "quantity": 2.5, "unit": "kg", "price": "8.00"},
    ]
    return {
        "id": str(number),
        "number": f"PO-{number}",
        "text": "Spare parts for the cooling pumps",
        "status": "open",
        "vendor_id": "7",
        "vendor_name": "Nordring Dichtungen GmbH",
        "currency": "EUR",
        "total": "120.00",
        "ordered_on": "2026-10-05",
        "notes": "Deliver to gate 3.",
        "lines": lines,
        **values,
    }


def vendor(number: int, **values: Any) -> Row:
    """A vendor as the system writes it."""
    row = {"id": str(number), "code": f"V-{number:04}", "name": f"Vendor {number}", "email": f"v{number}@erp.example"}
    return {**row, "blocked": False, **values}
