"""Master data of the sandbox plant. Runs inside Tryton's own environment, in an open transaction with the company set."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import catalogue
from trytond.pool import Pool

# SQLite's parser overflows on a create of some hundred rows.
BATCH = 25


def batches(rows: list[Any]) -> list[list[Any]]:
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def create(model: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Create `rows` in batches; return the records in the same order."""
    return [record for batch in batches(rows) for record in Pool().get(model).create(batch)]


def xml_id(module: str, name: str) -> int:
    return int(Pool().get("ir.model.data").get_id(module, name))


def currencies() -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": "U.S. Dollar", "code": "USD", "symbol": "$", "rounding": Decimal("0.01"), "digits": 2},
        {"name": "Euro", "code": "EUR", "symbol": "€", "rounding": Decimal("0.01"), "digits": 2},
    ]
    for row, rate in zip(rows, ("1", "0.92"), strict=True):
        row["rates"] = [("create", [{"date": datetime.date(2020, 1, 1), "rate": Decimal(rate)}])]
    return {record.code: record for record in create("currency.currency", rows)}


def company(currency: Any) -> Any:
    """Create the company, and put the administrator into it."""
    pool = Pool()
    (party,) = create("party.party", [{"name": catalogue.COMPANY, "code": "C0001"}])
    (made,) = create("company.company", [{"party": party.id, "currency": currency.id, "timezone": "UTC"}])
    User = pool.get("res.user")
    User.write(User.search([("login", "=", "admin")]), {"companies": [("add", [made.id])], "company": made.id})
    return made


def employees(company_id: int) -> None:
    parties = create("party.party", [{"name": name} for name in catalogue.EMPLOYEES])
    create("company.employee", [{"party": party.id, "company": company_id} for party in parties])


def chart(company_id: int) -> None:
    """Create the chart of accounts from the package's minimal template."""
    pool = Pool()
    Wizard = pool.get("account.create_chart", type="wizard")
    Account = pool.get("account.account")
    session_id, _, _ = Wizard.create()
    wizard = Wizard(session_id)
    template = pool.get("account.account.template")(xml_id("account", "account_template_root_en"))
    wizard.account.account_template = template
    wizard.account.company = pool.get("company.company")(company_id)
    wizard.transition_create_account()
    wizard.properties.company = wizard.account.company
    for kind in ("receivable", "payable"):
        (account,) = Account.search([(f"type.{kind}", "=", True), ("party_required", "=", True)], limit=1)
        setattr(wizard.properties, f"account_{kind}", account)
    wizard.properties.category_account_expense = account_of("expense")
    wizard.properties.category_account_revenue = account_of("revenue")
    wizard.transition_create_properties()
    _exchange_accounts()


def _exchange_accounts() -> None:
    """Name the accounts for exchange differences: an invoice in euros cannot be posted without."""
    settings = Pool().get("account.configuration")(1)
    settings.currency_exchange_debit_account = account_of("expense")
    settings.currency_exchange_credit_account = account_of("revenue")
    (settings.currency_exchange_journal,) = create(
        "account.journal", [{"name": "Exchange", "code": "EX", "type": "write-off"}]
    )
    settings.save()


def account_of(kind: str) -> Any:
    (account,) = (
        Pool()
        .get("account.account")
        .search([(f"type.{kind}", "=", True), ("closed", "!=", True)], order=[("id", "ASC")], limit=1)
    )
    return account


def fiscal_years(company_id: int, today: datetime.date) -> None:
    """Open last year, this one and the next, so that a cached database still works after New Year."""
    pool = Pool()
    FiscalYear = pool.get("account.fiscalyear")
    types = {
        name: pool.get("ir.sequence.type").search([("name", "=", name)])[0] for name in ("Account Move", "Invoice")
    }
    for year in range(today.year - 1, today.year + 2):
        moves, invoices = create(
            "ir.sequence.strict",
            [
                {"name": f"{name} {year}", "sequence_type": kind.id, "company": company_id}
                for name, kind in types.items()
            ],
        )
        sequence_fields = ("in_invoice", "in_credit_note", "out_invoice", "out_credit_note")
        (made,) = FiscalYear.create(
            [
                {
                    "name": str(year),
                    "company": company_id,
                    "start_date": datetime.date(year, 1, 1),
                    "end_date": datetime.date(year, 12, 31),
                    "move_sequence": moves.id,
                    "invoice_sequences": [
                        (
                            "create",
                            [{"company": company_id} | {f"{name}_sequence": invoices.id for name in sequence_fields}],
                        )
                    ],
                }
            ]
        )
        FiscalYear.create_period([made])


def terms_and_tax(company_id: int) -> dict[str, Any]:
    """Create two payment terms and one purchase tax; return them with the cash account's payment method."""
    terms = create(
        "account.invoice.payment_term",
        [
            {
                "name": name,
                "lines": [("create", [{"type": "remainder", "relativedeltas": [("create", [{"days": days}])]}])],
            }
            for name, days in (("30 days net", 30), ("60 days net", 60))
        ],
    )
    Account = Pool().get("account.account")
    (tax_account,) = Account.search([("code", "=", "6.3.6")], limit=1)
    (tax,) = create(
        "account.tax",
        [
            {
                "name": "Sales tax 8 %",
                "description": "Sales tax 8 %",
                "type": "percentage",
                "rate": Decimal("0.08"),
                "company": company_id,
                "invoice_account": tax_account.id,
                "credit_note_account": tax_account.id,
            }
        ],
    )
    (cash,) = Account.search([("code", "=", "1.1.1")], limit=1)
    (journal,) = create("account.journal", [{"name": "Cash", "code": "CASH", "type": "cash"}])
    (method,) = create(
        "account.invoice.payment.method",
        [
            {
                "name": "Bank transfer",
                "company": company_id,
                "journal": journal.id,
                "credit_account": cash.id,
                "debit_account": cash.id,
            }
        ],
    )
    return {"terms": terms, "tax": tax, "method": method}


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
