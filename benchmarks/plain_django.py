"""The way most teams write it: requests, .json(), map, then bulk_create(update_conflicts=True), one call a page.

python -m benchmarks.plain_django --url URL --dsn DSN --phase initial|unchanged|changed|incremental
"""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import requests
from django.conf import settings

from benchmarks.mapping import unify
from benchmarks.told import stopwatch, tell


def configure(dsn: str) -> None:
    """The smallest Django there is, with one model."""
    at = urlsplit(dsn)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": at.hostname,
        "PORT": at.port,
        "USER": unquote(at.username or ""),
        "PASSWORD": unquote(at.password or ""),
        "NAME": at.path.lstrip("/"),
    }
    settings.configure(
        USE_TZ=True,
        INSTALLED_APPS=["benchmarks"],
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def sync(url: str, phase: str, page: int) -> int:
    """One walk; answers how many records were seen."""
    from benchmarks.models import Order  # models can be imported once Django is set up

    fields = [field.name for field in Order._meta.fields if field.name not in ("id", "key")]
    parameters: dict[str, Any] = {"limit": page}
    if phase == "incremental":
        newest = Order.objects.latest("updated_at").updated_at
        parameters["updated_since"] = newest.strftime("%Y-%m-%dT%H:%M:%SZ")
    session, seen = requests.Session(), 0
    while True:
        answer = session.get(url + "/orders", params=parameters, timeout=60)
        answer.raise_for_status()
        body = answer.json()
        orders = [Order(**unify(raw)) for raw in body["data"]]
        Order.objects.bulk_create(
            orders, batch_size=500, update_conflicts=True, unique_fields=["key"], update_fields=fields
        )
        seen += len(orders)
        if not body["next_cursor"]:
            return seen
        parameters["cursor"] = body["next_cursor"]


def ensure_table() -> None:
    """Make the table where it is missing."""
    from django.db import connection

    from benchmarks.models import Order

    if Order._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--phase", required=True)
    parser.add_argument("--page", type=int, default=500)
    options = parser.parse_args()
    configure(options.dsn)
    ensure_table()
    with stopwatch() as watch:
        seen = sync(options.url, options.phase, options.page)
    tell(watch, records=seen)


if __name__ == "__main__":
    main()
