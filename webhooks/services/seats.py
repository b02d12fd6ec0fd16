"""How many workers deliver at once: each sits on a seat, a lock of its database session that ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SEATS = 4
_LOCKS = 0x6C73  # the first number of these locks, of nothing else's


@contextmanager
def seat() -> Iterator[bool]:
    """Take a free seat for a while; False when there is none, as enough workers deliver already."""
    number = next((number for number in range(SEATS) if _ask("pg_try_advisory_lock", number)), None)
    try:
        yield number is not None
    finally:
        if number is not None and connection.is_usable():
            _ask("pg_advisory_unlock", number)


def has_free_seat() -> bool:
    """Whether one more worker would find a seat."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            [_LOCKS],
        )
        return bool(cursor.fetchone()[0] < SEATS)


def _ask(function: str, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [_LOCKS, number])
        return bool(cursor.fetchone()[0])
