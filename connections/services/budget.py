"""The request budget of a connection: a token bucket in its row, shared by all workers, on the database's clock.

For a limit of N calls a minute the bucket holds N/10 (at least 1) and refills so that no minute sees more than N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection as database

from connections.models import Connection
from integrations.sdk.declarations import Limits

# Under a lock that is waited for, `clock` keeps its older time: elapsed time then counts as none, never twice.
_AVAILABLE = """CASE WHEN c.budget_at IS NULL THEN %(capacity)s ELSE least(%(capacity)s, c.budget_tokens
    + %(rate)s * greatest(0, extract(epoch FROM clock.now - c.budget_at)::float8)) END"""
_TAKE = f"""WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now, {{durability}} AS durability)
UPDATE connections_connection c
SET budget_tokens = {_AVAILABLE} - 1, budget_at = greatest(c.budget_at, clock.now)
FROM clock WHERE c.id = %(id)s AND c.workspace_id = %(workspace)s AND {_AVAILABLE} >= %(needed)s"""  # noqa: S608
_LOOK = f"""WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT {_AVAILABLE} FROM connections_connection c, clock WHERE c.id = %(id)s AND c.workspace_id = %(workspace)s"""  # noqa: S608
# Alone in its transaction, a taken token need not wait for the disk: a crash gives back a second's worth at most.
_LAZY, _AS_IS = "set_config('synchronous_commit', 'off', true)", "''::text"
SHORTEST_WAIT_SECONDS = 0.05


@dataclass(frozen=True)
class _Bucket:
    capacity: float
    rate: float  # tokens a second
    floor: float  # what syncs leave to operations


def take_call(connection: Connection, limits: Limits, *, for_operations: bool = False) -> float:
    """Take one call from the budget: 0.0 when it may be made now, else the seconds to wait before asking again.

    Syncs leave the share `limits.reserve_for_operations` of the bucket to operations. Without a declared limit no query
    is made.
    """
    if limits.per_minute is None:
        return 0.0
    bucket = _bucket(limits)
    needed = 1.0 if for_operations else 1.0 + bucket.floor
    values: dict[str, Any] = {
        "id": connection.pk,
        "workspace": connection.workspace_id,
        "capacity": bucket.capacity,
        "rate": bucket.rate,
        "needed": needed,
    }
    with database.cursor() as cursor:
        cursor.execute(_TAKE.format(durability=_AS_IS if database.in_atomic_block else _LAZY), values)
        if cursor.rowcount:
            return 0.0
        cursor.execute(_LOOK, values)
        row = cursor.fetchone()
    if row is None:
        raise Connection.DoesNotExist(f"There is no connection {connection.pk} in workspace {connection.workspace_id}.")
    return max((needed - float(row[0])) / bucket.rate, SHORTEST_WAIT_SECONDS)


def _bucket(limits: Limits) -> _Bucket:
    """The greatest bucket that keeps every minute within the limit: capacity - 1 + 60 * rate = limit."""
    limit = float(limits.per_minute or 1)
    capacity = max(1.0, limit / 10)
    # A floor above capacity - 1 would keep syncs out for ever.
    floor = min(limits.reserve_for_operations * capacity, capacity - 1)
    return _Bucket(capacity, (limit - capacity + 1) / 60, floor)
