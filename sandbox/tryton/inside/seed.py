"""Fill an empty database with the sandbox plant. Run by the interpreter of Tryton's own environment:

    python seed.py CONFIG DATABASE

Content is the same on every run (one seeded generator); dates count back from the day of the run, UTC. Prints progress.
"""

from __future__ import annotations

import datetime
import random
import sys
import time

from trytond import config

STARTED = time.monotonic()
MODULES = [
    "account_invoice_stock",
    "account_product",
    "production",
    "purchase",
    "purchase_request",
    "stock",
    "stock_supply",
    "stock_supply_production",
]


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def create_tables(database: str) -> None:
    """Create the tables and activate the modules."""
    from trytond import __series__, backend
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    # We are the only client: without this each step must be started again with the locks that it turns out to need.
    Transaction.lock_table = Transaction.lock_records = lambda *args: None
    backend.Database(database).connect().init()
    pool = Pool(database)
    pool.init(update=["ir", "res"], lang=["en"])
    with Transaction().start(database, 0):
        Pool().get("ir.module").update_list()
        settings = Pool().get("ir.configuration")(1)
        settings.series, settings.language = __series__, "en"
        settings.save()
    say("tables of the core")
    pool.init(update=MODULES, lang=["en"], activatedeps=True)
    say("modules activated")


def main(config_path: str, database: str) -> None:
    config.update_etc([config_path])
    create_tables(database)
    from plant import build

    build(database, datetime.datetime.now(datetime.UTC).date(), random.Random(8_2026), say)
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:3])
