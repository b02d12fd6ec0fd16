"""One page of a list: by the last key seen, or by counting rows."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from integrations.simulators.kit.store import Key, Object, Row, Table

_GREATEST = float("inf")


@dataclass(frozen=True)
class Listing:
    """What is asked for. `low` and `high` bound the sort field, both included; `wanted` decides on everything else."""

    limit: int
    sort: str = "id"
    descending: bool = False
    low: Any = None
    high: Any = None
    wanted: Callable[[Object], bool] | None = None
    # From the cursor: the key of the last row seen, or how many rows were.
    after: Key | None = None
    offset: int = 0


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    last: Key | None
    has_more: bool


def page_of(table: Table, listing: Listing) -> Page:
    """Cost grows with the page (and with rows that `wanted` leaves out), not with the table."""
    order = table.orders[listing.sort]
    start, stop = _bounds(order, listing)
    skip = listing.offset
    if listing.wanted is None:  # nothing is left out, so the offset is a place
        start, stop = (start, stop - skip) if listing.descending else (start + skip, stop)
        skip = 0
    found: list[Row] = []
    last: Key | None = None
    for key in _walk(order, start, stop, descending=listing.descending):
        row = table.rows[key[2]]
        if listing.wanted and not listing.wanted(row.data):
            continue
        if skip:
            skip -= 1
            continue
        if len(found) == listing.limit:
            return Page(found, last, True)
        found.append(row)
        last = key
    return Page(found, last, False)


def _bounds(order: list[Key], listing: Listing) -> tuple[int, int]:
    start = bisect_left(order, (True, listing.low, -1)) if listing.low is not None else 0
    stop = bisect_right(order, (True, listing.high, _GREATEST)) if listing.high is not None else len(order)
    if listing.high is not None and listing.low is None:
        start = bisect_left(order, (True,))
    if listing.after and listing.descending:
        stop = min(stop, bisect_left(order, listing.after))
    elif listing.after:
        start = max(start, bisect_right(order, listing.after))
    return start, stop


def _walk(order: list[Key], start: int, stop: int, *, descending: bool) -> Iterator[Key]:
    places = range(stop - 1, start - 1, -1) if descending else range(start, stop)
    return (order[place] for place in places)


def pack_cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def unpack_cursor(text: str) -> list[Any]:
    """ValueError when we did not make it."""
    parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(parts, list):
        raise ValueError(text)
    return parts
