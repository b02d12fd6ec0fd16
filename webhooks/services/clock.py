"""The database's clock, which every time of this room is taken from."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The time there now (UTC), also within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
