"""Spread the change times of the seeded records over the past, as if people had entered them day by day."""

from __future__ import annotations

import datetime
import random

from sql import Table
from trytond.transaction import Transaction

# Table, oldest creation in days, share of records that were never changed after it (their write_date stays null).
TABLES = [
    ("party_party", 400, 0.4),
    ("product_template", 400, 0.3),
    ("product_product", 400, 0.5),
    ("stock_location", 400, 0.7),
    ("purchase_purchase", 120, 0.0),
    ("production", 60, 0.2),
    ("stock_shipment_in", 90, 0.0),
    ("stock_move", 110, 0.3),
]
PURCHASES_NEVER_CHANGED = ["draft"]
# Table, its column, the table that it belongs to: created with its owner and not changed since.
CHILDREN = [
    ("purchase_line", "purchase", "purchase_purchase"),
    ("party_address", "party", "party_party"),
    ("party_contact_mechanism", "party", "party_party"),
]


def spread(rng: random.Random, now: datetime.datetime) -> None:
    """Give every record of TABLES a creation and a change time (naive UTC), older ids first, none after `now`."""
    cursor = Transaction().connection.cursor()
    for name, days, share in TABLES:
        table = Table(name)
        cursor.execute(*table.select(table.id, order_by=table.id))
        ids = [row[0] for row in cursor.fetchall()]
        step = datetime.timedelta(days=days) / max(len(ids), 1)
        for at, record_id in enumerate(ids):
            created = now - step * (len(ids) - at) + datetime.timedelta(microseconds=rng.randint(1, 999_999))
            changed = None if rng.random() < share else created + (now - created) * rng.random()
            cursor.execute(
                *table.update([table.create_date, table.write_date], [created, changed], where=table.id == record_id)
            )
    purchase = Table("purchase_purchase")
    cursor.execute(*purchase.update([purchase.write_date], [None], where=purchase.state.in_(PURCHASES_NEVER_CHANGED)))
    for child, column, owner in CHILDREN:
        cursor.execute(
            f'UPDATE "{child}" SET write_date = NULL,'
            f' create_date = (SELECT create_date FROM "{owner}" WHERE "{owner}".id = "{child}"."{column}")'
        )
