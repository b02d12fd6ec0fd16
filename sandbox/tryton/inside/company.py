"""The company and its books. Runs inside Tryton's own environment, in an open transaction."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import catalogue
from records import create, xml_id
from trytond.pool import Pool


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
