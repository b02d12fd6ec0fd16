"""Who may sign in to the sandbox. The passwords are public on purpose: nothing here is ever more than a sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from records import create, xml_id

ACCOUNTS: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("accounts.json").read_text())

CONNECTOR_GROUPS = [
    ("purchase", "group_purchase"),
    ("purchase", "group_purchase_admin"),
    ("purchase_request", "group_purchase_request"),
    ("stock", "group_stock"),
    ("stock", "group_stock_admin"),
    ("stock", "group_stock_force_assignment"),
    ("stock", "group_stock_cancellation"),
    ("product", "group_product_admin"),
    ("account_product", "group_account_product_admin"),
    ("party", "group_party_admin"),
    ("production", "group_production"),
    ("production", "group_production_admin"),
]


def create_admin() -> Any:
    (admin,) = create("res.user", [{"login": "admin", "administrator": True} | ACCOUNTS["admin"]])
    return admin


def create_users(company: int) -> None:
    """Create the connector's user, and one who belongs to no group."""
    shared = {"companies": [("add", [company])], "company": company}
    groups = [xml_id(module, name) for module, name in CONNECTOR_GROUPS]
    create(
        "res.user",
        [
            shared | {"login": "lineshaft", "groups": [("add", groups)]} | ACCOUNTS["lineshaft"],
            shared | {"login": "guest"} | ACCOUNTS["guest"],
        ],
    )
