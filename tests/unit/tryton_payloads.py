"""Objects as a running Tryton 8.2 sent them (SQLite: flags are 0 and 1), one of each model."""

from __future__ import annotations

from typing import Any


def at(year: int, month: int, day: int, hour: int = 0, microsecond: int = 0) -> dict[str, Any]:
    typed = {"__class__": "datetime", "year": year, "month": month, "day": day}
    return {**typed, "hour": hour, "minute": 30, "second": 0, "microsecond": microsecond}


def day(year: int, month: int, of_month: int) -> dict[str, Any]:
    return {"__class__": "date", "year": year, "month": month, "day": of_month}


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


PURCHASE: dict[str, Any] = {
    "number": "89",
    "state": "processing",
    "reference": "SO-82156",
    "purchase_date": day(2026, 9, 11),
    "delivery_date": None,
    "description": "Project R-17",
    "last_modified_at": at(2026, 11, 2, 15, 134268),
    "create_date": at(2026, 7, 28, 3),
    "id": 3,
    "comment": "Partial deliveries are accepted.",
    "shipment_state": "partially shipped",
    "invoice_state": "pending",
    "total_amount": decimal("364.48"),
    "tax_amount": decimal("27.00"),
    "untaxed_amount": decimal("337.48"),
    "currency.": {"code": "USD", "id": 1},
    "warehouse.": {"name": "Northmoor plant", "id": 5},
    "quoted_by.": None,
    "payment_term.": {"name": "30 days net", "id": 10},
    "party.": {"name": "Ingram Bearings GmbH", "id": 13},
    "lines.": [
        {
            "sequence": None,
            "unit_price": decimal("22.85"),
            "last_modified_at": at(2026, 11, 5, 3),
            "type": "line",
            "quantity": 12.0,
            "description": "[CTR-01] Contactor 9 A",
            "id": 5,
            "amount": decimal("274.20"),
            "delivery_date": None,
            "product_supplier.": None,
            "unit.": {"symbol": "u", "id": 1},
            "moves.": [{"state": "draft", "quantity": 12.0, "unit": 1, "last_modified_at": at(2026, 9, 17), "id": 432}],
            "product.": {"id": 94, "name": "Contactor 9 A"},
        },
        {
            "sequence": None,
            "unit_price": decimal("31.64"),
            "last_modified_at": at(2026, 7, 28, 3),
            "type": "line",
            "quantity": 2.0,
            "description": "[CPL-03] Jaw coupling 28",
            "id": 4,
            "amount": decimal("63.28"),
            "delivery_date": day(2026, 9, 20),
            "product_supplier.": None,
            "unit.": {"symbol": "u", "id": 1},
            "moves.": [
                {"state": "done", "quantity": 1.5, "unit": 1, "last_modified_at": at(2026, 10, 6), "id": 431},
                {"state": "done", "quantity": 0.5, "unit": 1, "last_modified_at": at(2026, 10, 6), "id": 430},
            ],
            "product.": {"id": 129, "name": "Jaw coupling 28"},
        },
        {"id": 6, "type": "title", "sequence": 3, "description": "Spares", "moves.": [], "quantity": None},
    ],
}
PRODUCTION: dict[str, Any] = {
    "number": "23",
    "state": "done",
    "planned_date": day(2026, 10, 9),
    "planned_start_date": day(2026, 10, 8),
    "effective_start_date": day(2026, 10, 10),
    "effective_date": None,
    "reference": "WO-5259",
    "quantity": 1.0,
    "last_modified_at": at(2026, 10, 18, 13),
    "create_date": at(2026, 9, 25, 3),
    "id": 1,
    "location.": None,
    "product.": {"id": 215, "name": "Machine guard"},
    "warehouse.": {"name": "Northmoor plant", "id": 5},
    "bom.": {"name": "Machine guard", "id": 8},
    "unit.": {"symbol": "u", "id": 1},
    "outputs.": [
        {"state": "done", "quantity": 1.0, "unit": 1, "product": 215, "id": 855},
        {"state": "done", "quantity": 4.0, "unit": 2, "product": 300, "id": 856},
    ],
    "inputs.": [
        {
            "state": "draft",
            "quantity": 6.25,
            "id": 853,
            "unit.": {"symbol": "m", "id": 11},
            "product.": {"id": 201, "name": "Aluminium profile 30x30"},
            "from_location.": {"name": "Storage Zone", "id": 3},
        },
        {
            "state": "done",
            "quantity": 14.0,
            "id": 852,
            "unit.": {"symbol": "kg", "id": 2},
            "product.": {"id": 198, "name": "Steel plate 1.4301 3 mm"},
            "from_location.": {"name": "Storage Zone", "id": 3},
        },
    ],
}
PRODUCT: dict[str, Any] = {
    "code": "BRG-02",
    "active": 1,
    "description": None,
    "last_modified_at": at(2026, 7, 21, 7),
    "create_date": at(2025, 10, 22),
    "id": 2,
    "quantity": 98.0,
    "forecast_quantity": 97.5,
    "list_price": None,
    "cost_price": decimal("6.24"),
    "order_points.": [{"target_quantity": 250.0, "min_quantity": 100.0, "type": "purchase", "id": 2}],
    "product_suppliers.": [],
    "identifiers.": [{"id": 4, "type": "ean", "code": "4006381333931"}],
    "template.": {
        "consumable": 0,
        "last_modified_at": at(2025, 12, 9),
        "type": "goods",
        "name": "Deep groove ball bearing 6002",
        "id": 2,
        "list_price": decimal("8.42"),
        "default_uom.": {"symbol": "box10", "id": 36},
        "categories.": [{"name": "Spare parts", "id": 2}, {"name": "Bearings", "id": 9}],
        "product_suppliers.": [
            {"id": 1, "product": 7, "sequence": None, "lead_time": None, "party.": {"name": "Other", "id": 9}},
            {
                "id": 2,
                "product": None,
                "sequence": None,
                "lead_time": {"__class__": "timedelta", "seconds": 2419200.0},
                "party.": {"name": "Granite Hydraulics S.p.A.", "id": 33},
            },
        ],
    },
    "company_currency": "USD",
    "stock": [
        {"location": {"id": 17, "name": "Spares C-01"}, "quantity": 96.0, "forecast_quantity": 95.5, "unit": "box10"},
        {"location": {"id": 3, "name": "Storage Zone"}, "quantity": 2.0, "forecast_quantity": 2.0, "unit": "box10"},
    ],
}
PARTY: dict[str, Any] = {
    "code": "V1000",
    "active": 0,
    "name": "Alder Bearings Inc.",
    "last_modified_at": at(2026, 9, 7, 3),
    "create_date": at(2025, 11, 10, 5),
    "id": 5,
    "supplier_currency.": None,
    "lang.": {"id": 1, "code": "en"},
    "categories.": [],
    "tax_identifier.": {"id": 3, "code": "US123456789"},
    "supplier_payment_term.": {"name": "30 days net", "id": 10},
    "identifiers.": [],
    "addresses.": [
        {
            "postal_code": "53202",
            "sequence": None,
            "active": 1,
            "delivery": 1,
            "invoice": 0,
            "city": "Milwaukee",
            "party_name": None,
            "id": 1,
            "street": "201 Harbour Way",
            "subdivision.": None,
            "country.": {"name": "United States", "code": "US", "id": 1},
        },
        {"id": 2, "active": 0, "city": "Gone", "invoice": 1, "delivery": 1, "sequence": None},
    ],
    "contact_mechanisms.": [
        {"name": None, "sequence": None, "type": "email", "active": False, "value": "old@alder.example", "id": 4},
        {"name": "Desk", "sequence": None, "type": "email", "active": True, "value": "desk@alder.example", "id": 1},
        {"name": None, "sequence": None, "type": "mobile", "active": 1, "value": "+1 414 555000", "id": 2},
        {"name": None, "sequence": None, "type": "website", "active": 1, "value": "https://alder.example", "id": 3},
    ],
}
LOCATION: dict[str, Any] = {
    "last_modified_at": at(2026, 5, 3, 0, 195943),
    "code": "RAW-A02",
    "type": "storage",
    "create_date": at(2026, 5, 3),
    "active": True,
    "id": 20,
    "name": "Raw A-02",
    "parent.": {"name": "Raw material store", "id": 11},
    "address.": None,
}
