"""The order in which the sandbox plant is built, one transaction a step."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import company as books
import documents
import history
import locations
import masters
import users
from trytond.transaction import Transaction


def build(database: str, today: datetime.date, rng: random.Random, say: Callable[[str], None]) -> None:
    """Seed everything in one transaction (records do not outlive theirs); `say` is told about each step."""
    plant: dict[str, Any] = {"today": today}
    steps: list[tuple[str, Callable[[], dict[str, Any] | None]]] = [
        ("accounts", lambda: _accounts(plant)),
        ("suppliers", lambda: {"suppliers": masters.suppliers(rng, plant["terms"])}),
        ("locations", locations.warehouse),
        ("products", lambda: _products(rng, plant)),
        ("stock", lambda: documents.stock(rng, plant["products"], plant["bins"], today)),
        ("purchases", lambda: {"groups": documents.purchases(rng, plant, today)}),
        ("receipts", lambda: documents.receive(rng, plant["groups"], plant)),
        ("invoices", lambda: documents.pay(plant["groups"]["done"], plant)),
        ("productions", lambda: _productions(rng, plant, today)),
        ("purchase requests", lambda: documents.requests(rng, plant)),
        ("users", lambda: users.create_users(plant["company_id"])),
        ("history", lambda: history.spread(rng, datetime.datetime.now(datetime.UTC).replace(tzinfo=None))),
    ]
    with Transaction().start(database, 0, context={"language": "en"}) as transaction:
        plant.update(_company(plant))
        admin = plant["admin"].id
        with transaction.set_user(admin), transaction.set_context(company=plant["company_id"], _skip_warnings=True):
            for text, work in steps:
                plant.update(work() or {})
                say(text)
        transaction.commit()


def _company(plant: dict[str, Any]) -> dict[str, Any]:
    admin = users.create_admin()
    found = books.currencies()
    company = books.company(found["USD"])
    return {"currencies": found, "company": company, "company_id": company.id, "admin": admin}


def _accounts(plant: dict[str, Any]) -> dict[str, Any]:
    books.employees(plant["company_id"])
    books.chart(plant["company_id"])
    books.fiscal_years(plant["company_id"], plant["today"])
    return books.terms_and_tax(plant["company_id"])


def _products(rng: random.Random, plant: dict[str, Any]) -> dict[str, Any]:
    uoms = masters.units()
    products = masters.products(rng, uoms, plant["tax"])
    masters.product_suppliers(rng, products, plant["suppliers"], plant["company"])
    bought = [product for product in products.values() if product.template.purchasable]
    return {"uoms": uoms, "products": products, "bought": bought}


def _productions(rng: random.Random, plant: dict[str, Any], today: datetime.date) -> dict[str, Any]:
    plant["boms"] = documents.boms(plant["products"], plant["uoms"])
    return {"productions": documents.productions(rng, plant, today)}
