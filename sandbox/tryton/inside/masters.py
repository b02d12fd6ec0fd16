"""Suppliers and products of the sandbox plant. Runs inside Tryton's own environment, in an open transaction."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import catalogue
from company import account_of
from records import create
from trytond.pool import Pool


def suppliers(rng: random.Random, terms: list[Any]) -> list[Any]:
    """Create the suppliers with addresses and contacts; return the active ones."""
    countries = {
        record.code: record.id
        for record in create(
            "country.country",
            [
                {"name": name, "code": code, "code3": code3}
                for name, code, code3 in (
                    ("United States", "US", "USA"),
                    ("Germany", "DE", "DEU"),
                    ("Poland", "PL", "POL"),
                    ("Italy", "IT", "ITA"),
                    ("Sweden", "SE", "SWE"),
                )
            ],
        )
    }
    plan = catalogue.suppliers(rng)
    rows = [_supplier_values(supplier, countries, terms[at % len(terms)].id) for at, supplier in enumerate(plan)]
    records = create("party.party", rows)
    Party = Pool().get("party.party")
    Party.write([r for r, s in zip(records, plan, strict=True) if not s.active], {"active": False})
    return [r for r, s in zip(records, plan, strict=True) if s.active]


def _supplier_values(supplier: catalogue.Supplier, countries: dict[str, int], term: int) -> dict[str, Any]:
    contacts = [{"type": "email", "value": supplier.email}, {"type": "phone", "value": supplier.phone}]
    if supplier.website:
        contacts.append({"type": "website", "value": supplier.website})
    address = {
        "street_unstructured": supplier.street,
        "city": supplier.city,
        "postal_code": supplier.postal_code,
        "country": countries[supplier.country],
        "invoice": True,
        "delivery": True,
    }
    return {
        "name": supplier.name,
        "code": supplier.code,
        "addresses": [("create", [address])],
        "contact_mechanisms": [("create", contacts)],
        "supplier_payment_term": term,
    }


def units() -> dict[str, Any]:
    """Return the units by name; adds the two boxes that the packages lack."""
    Uom = Pool().get("product.uom")
    (unit,) = Uom.search([("name", "=", "Unit")])
    create(
        "product.uom",
        [
            {
                "name": f"Box of {count}",
                "symbol": f"box{count}",
                "category": unit.category.id,
                "factor": float(count),
                "rate": round(1 / count, 12),
                "digits": 0,
                "rounding": 1.0,
            }
            for count in (10, 100)
        ],
    )
    return {uom.name: uom for uom in Uom.search([])}


def products(rng: random.Random, uoms: dict[str, Any], tax: Any) -> dict[str, Any]:
    """Create every product; return the variants by code."""
    pool = Pool()
    (accounting,) = create(
        "product.category",
        [
            {
                "name": "Purchased goods",
                "accounting": True,
                "account_expense": account_of("expense").id,
                "account_revenue": account_of("revenue").id,
                "supplier_taxes": [("add", [tax.id])],
            }
        ],
    )
    kinds = ("spare", "supply", "raw", "service", "made")
    names = ("Spare parts", "Supplies", "Raw material", "Services", "Own products")
    made = create("product.category", [{"name": name} for name in names])
    categories = {kind: record.id for kind, record in zip(kinds, made, strict=True)}
    plan = catalogue.items(rng) + catalogue.made_items(rng)
    rows = [_template_values(item, uoms, accounting.id, categories) for item in plan]
    templates = create("product.template", rows)
    inactive = [t for t, item in zip(templates, plan, strict=True) if not item.active]
    pool.get("product.product").write([p for t in inactive for p in t.products], {"active": False})
    pool.get("product.template").write(inactive, {"active": False})
    return {p.code: p for p in pool.get("product.product").search([], order=[("id", "ASC")])}


def _template_values(
    item: catalogue.Item, uoms: dict[str, Any], accounting: int, categories: dict[str, int]
) -> dict[str, Any]:
    uom = uoms[item.unit].id
    cost = Decimal(str(item.cost))
    variants = [{"suffix_code": suffix, "cost_price": cost} for suffix in item.variants] or [{"cost_price": cost}]
    bought = item.kind != "made"
    values: dict[str, Any] = {
        "name": item.name,
        "code": item.code,
        "type": "service" if item.kind == "service" else "goods",
        "consumable": item.kind == "supply",
        "default_uom": uom,
        "list_price": Decimal(str(item.price)),
        "cost_price_method": "average" if item.kind == "raw" else "fixed",
        "purchasable": bought,
        "producible": not bought,
        "account_category": accounting,
        "categories": [("add", [categories[item.kind]])],
        "products": [("create", variants)],
    }
    if bought:
        values["purchase_uom"] = uom
    return values


def product_suppliers(rng: random.Random, products: dict[str, Any], parties: list[Any], company: Any) -> None:
    """Give two bought products in three one supplier with price and lead time."""
    bought = [p for code, p in products.items() if p.template.purchasable]
    rows = []
    for product in bought:
        party = rng.choice(parties)
        if rng.random() < 0.34:
            continue
        price = (product.cost_price * Decimal("0.95")).quantize(Decimal("0.01"))
        rows.append(
            {
                "template": product.template.id,
                "product": product.id,
                "party": party.id,
                "company": company.id,
                "currency": company.currency.id,
                "code": f"{party.code}/{product.code}",
                "lead_time": datetime.timedelta(days=rng.choice((3, 7, 14, 28))),
                "prices": [("create", [{"quantity": 0, "unit_price": max(price, Decimal("0.01"))}])],
            }
        )
    create("purchase.product_supplier", rows)
