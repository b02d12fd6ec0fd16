# mypy: disable-error-code="import-not-found"
"""Who may sign in to the sandbox. The passwords are public on purpose: nothing here is ever more than a sandbox."""

from __future__ import annotations

from typing import Any

from masters import create, xml_id
from trytond.pool import Pool

ADMIN_PASSWORD = "sandbox-admin-8KpV2mXq"
USER_PASSWORD = "sandbox-lineshaft-4TzR9wLd"
GUEST_PASSWORD = "sandbox-guest-7HnC3yBs"

GROUPS = [
    ("purchase", "group_purchase"),
    ("purchase", "group_purchase_admin"),
    ("purchase_request", "group_purchase_request"),
    ("stock", "group_stock"),
    ("stock", "group_stock_admin"),
    ("stock", "group_stock_force_assignment"),
    ("stock", "group_stock_cancellation"),
    ("product", "group_product_admin"),
    ("party", "group_party_admin"),
    ("production", "group_production"),
    ("production", "group_production_admin"),
]


def create_admin() -> Any:
    (admin,) = create(
        "res.user",
        [{"login": "admin", "name": "Administrator", "password": ADMIN_PASSWORD, "administrator": True}],
    )
    return admin


def create_users(company: int) -> None:
    """Create the connector's user, and one who belongs to no group."""
    shared = {"companies": [("add", [company])], "company": company}
    create(
        "res.user",
        [
            shared
            | {
                "login": "lineshaft",
                "name": "Lineshaft connector",
                "email": "integration@northmoor.example",
                "password": USER_PASSWORD,
                "groups": [("add", [xml_id(module, name) for module, name in GROUPS])],
            },
            shared | {"login": "guest", "name": "Guest without groups", "password": GUEST_PASSWORD},
        ],
    )
