"""Simulated upstream system: a paged REST API over N deterministic purchase orders of about 1.1 KB.

    python -m benchmarks.upstream --records 100000          prints `listening PORT`

GET  /orders?limit=500[&cursor=C][&updated_since=T]   {"data": [...], "next_cursor": C, "total": n}
GET  /orders/ID, GET /me
POST /mutate?percent=1    change that share of the records; the same calls after a reset change the same ones
POST /reset               back to the first state
GET  /stats               {"first_request_at": seconds since 1970 or null, "requests": n, "changed": n}; POST forgets

A full listing is ordered by id. With updated_since (inclusive) it is ordered by updated_at.
"""

from __future__ import annotations

import argparse
import random
import time
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from benchmarks import httpd

EPOCH, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
STATUSES = ("draft", "submitted", "approved", "partially_received", "received", "closed", "cancelled")
CURRENCIES = ("USD", "EUR", "GBP", "MXN", "JPY")
UNITS = ("EA", "BX", "KG", "M", "L")
MAX_PAGE = 5000


def stamp(base: datetime, seconds: int) -> str:
    """RFC 3339 UTC, whole seconds."""
    return (base + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_record(number: int, revision: int = 1, updated_at: str | None = None) -> dict[str, Any]:
    """Record `number` (from 1); the same arguments always give the same record."""
    lines, total = _lines(number, revision)
    vendor, day = number % 997, EPOCH - timedelta(days=number % 365)
    return {
        "id": f"po_{number:09d}",
        "number": f"PO-{number:09d}",
        "revision": revision,
        "deleted": False,
        "status": STATUSES[(number + revision) % 7],
        "type": "standard" if number % 5 else "blanket",
        "vendor": {
            "id": f"V-{vendor:04d}",
            "name": f"Vendor {vendor} Industrial Supply GmbH",
            "tax_id": f"DE{vendor:09d}",
            "contact": {"email": f"orders@vendor{vendor}.example", "phone": f"+49 30 {vendor:07d}"},
        },
        "currency": CURRENCIES[number % 5],
        "total": f"{total / 100:.2f}",
        "site": {"code": f"PLANT-{number % 12:02d}", "name": f"Plant {number % 12}"},
        "ordered_on": day.strftime("%Y-%m-%d"),
        "expected_on": (day + timedelta(days=21)).strftime("%Y-%m-%d"),
        "lines": lines,
        "custom_fields": {
            "cost_center": f"CC-{number % 88:03d}",
            "project_code": f"PRJ-{number % 444:04d}",
            "priority": number % 4,
            "inspected": number % 3 == 0,
        },
        "created_at": stamp(EPOCH, number),
        "updated_at": updated_at or stamp(EPOCH, number),
    }


def _lines(number: int, revision: int) -> tuple[list[dict[str, Any]], int]:
    """Three lines and their total in cents."""
    seed = (number * 2654435761 + revision * 40503) & 0xFFFFFFFF
    lines, total = [], 0
    for position in (1, 2, 3):
        quantity, cents = 1 + (seed >> position) % 90, 100 + (seed >> (2 * position)) % 90000
        total += quantity * cents
        lines.append(
            {
                "line_no": position,
                "item": {
                    "sku": f"SKU-{(number * 7 + position) % 5000:05d}",
                    "description": f"Bearing, deep groove, series {(number + position) % 60}",
                },
                "quantity": quantity,
                "uom": UNITS[(number + position) % 5],
                "unit_price": f"{cents / 100:.2f}",
                "amount": f"{quantity * cents / 100:.2f}",
                "received_quantity": quantity // 2,
            }
        )
    return lines, total


class Store:
    """The records as bytes, in both orders."""

    def __init__(self, count: int) -> None:
        self._first = [orjson.dumps(make_record(number)) for number in range(1, count + 1)]
        self.reset()

    def reset(self) -> None:
        self.current = list(self._first)
        self._revision = [1] * len(self._first)
        self._updated = [stamp(EPOCH, number) for number in range(1, len(self._first) + 1)]
        self._clock = 0
        self._sort()

    def _sort(self) -> None:
        order = sorted(range(len(self.current)), key=self._updated.__getitem__)
        self._feed_times = [self._updated[index] for index in order]
        self._feed = [self.current[index] for index in order]

    def mutate(self, percent: float) -> int:
        """Change that share of the records; answers how many."""
        count = len(self.current)
        chosen = random.Random(f"{count}/{self._clock}").sample(range(count), round(count * percent / 100))
        for index in chosen:
            self._clock += 1
            self._revision[index] += 1
            self._updated[index] = stamp(LATER, self._clock)
            self.current[index] = orjson.dumps(make_record(index + 1, self._revision[index], self._updated[index]))
        self._sort()
        return len(chosen)

    @property
    def changed(self) -> int:
        """How many records are not in their first state."""
        return sum(revision > 1 for revision in self._revision)

    def page(self, since: str, start: int, limit: int) -> bytes:
        rows, skip = (self._feed, bisect_left(self._feed_times, since)) if since else (self.current, 0)
        total, following = len(rows) - skip, b"null"
        if start + limit < total:
            following = b'"c%d"' % (start + limit)
        data = b",".join(rows[skip + start : skip + start + limit])
        return b'{"data":[%s],"next_cursor":%s,"total":%d}' % (data, following, total)


class App:
    """The API over a store, counting what it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget()

    def _forget(self) -> None:
        self._first_at: float | None = None
        self._count = 0

    def __call__(self, request: httpd.Request) -> bytes:
        if request.path == "/stats" or request.method == "POST":
            return httpd.response(200, orjson.dumps(self._control(request)))
        if self._first_at is None:
            self._first_at = time.time()
        self._count += 1
        body = self._read(request)
        return httpd.response(404, b'{"error":"not found"}') if body is None else httpd.response(200, body)

    def _control(self, request: httpd.Request) -> dict[str, Any]:
        if request.path == "/mutate":
            return {"changed": self._store.mutate(float(request.query.get("percent", 1)))}
        if request.path == "/reset":
            self._store.reset()
        if request.method == "POST":
            self._forget()
        return {"first_request_at": self._first_at, "requests": self._count, "changed": self._store.changed}

    def _read(self, request: httpd.Request) -> bytes | None:
        query = request.query
        if request.path == "/orders":
            start, limit = int(query.get("cursor", "c0")[1:]), min(int(query.get("limit", 500)), MAX_PAGE)
            return self._store.page(query.get("updated_since", ""), start, limit)
        if request.path == "/me":
            return b'{"user":"integration"}'
        number = request.path.removeprefix("/orders/po_")
        known = number.isdigit() and 1 <= int(number) <= len(self._store.current)
        return self._store.current[int(number) - 1] if known else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    httpd.serve(App(Store(parser.parse_args().records)))


if __name__ == "__main__":
    main()
