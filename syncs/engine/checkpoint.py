"""The run's row at each page: held while it is written, then counters, checkpoint, a renewed lease, and whether to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core import prepared
from core.leases import Lease, LeaseLostError
from syncs.engine.errors import Cancelled
from syncs.models import SyncRun
from syncs.states import IS_SHARED

# Asked with every renewal, so that a wish to stop is honoured at the next call.
MUST_STOP = (
    "cancel_requested OR (SELECT c.paused OR c.health NOT IN ('active', 'offline') OR NOT s.enabled"
    f" OR NOT {IS_SHARED.format(entity='s.entity')} FROM connections_connection c, syncs_sync s WHERE c.id = connection_id AND s.id = sync_id)"
)
# Asked where something is about to be written: after a disconnect not even the page that is here already is.
IS_DISCONNECTED = "(SELECT c.health = 'disconnected' FROM connections_connection c WHERE c.id = connection_id)"
_TABLE = SyncRun._meta.db_table
_ADVANCE = f"""WITH moved AS (
    UPDATE {_TABLE} SET lease_until = clock_timestamp() + %s::float8 * interval '1 second', claims_without_progress = 0,
        attempts = 0, error = NULL, position = %s::jsonb, walk_done = %s, page_no = %s, last_page_digest = %s,
        newest = %s, total = coalesce(%s, total), read_count = read_count + %s, created_count = created_count + %s,
        updated_count = updated_count + %s, unchanged_count = unchanged_count + %s,
        quarantined_count = quarantined_count + %s
    WHERE {Lease.HELD} RETURNING id, {MUST_STOP} AS must_stop)"""
# Two rows, one statement: the join needs the run first. What an own write did is looked up after it, with a view of its
# own: that of this statement is older than the lock.
_HOLD = f"""WITH held AS MATERIALIZED (SELECT sync_id, {IS_DISCONNECTED} AS is_over FROM {_TABLE} WHERE {Lease.HELD} FOR UPDATE)
SELECT is_over FROM syncs_sync, held WHERE syncs_sync.id = held.sync_id FOR NO KEY UPDATE OF syncs_sync"""
_SHOWN = """, shown AS (INSERT INTO syncs_runpage (run_id, page_no, record_ids) SELECT id, %s, %s::uuid[] FROM moved)"""


@dataclass(frozen=True)
class Step:
    """What one page did to the run. `position` None: it was the last."""

    page_no: int
    position: Any
    digest: str
    newest: datetime | None
    total: int | None
    read: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0


class Moved(NamedTuple):
    """Where a page's checkpoint left the run. `clock` is the database's, not later than any call that follows."""

    must_stop: bool
    clock: datetime


def hold(lease: Lease) -> None:
    """Lock the run, then its sync, for this transaction: pages and own writes take turns at the sync.

    Errors: LeaseLostError when the run is no longer ours, Cancelled when its connection was disconnected.
    """
    with prepared.cursor() as cursor:
        cursor.execute(_HOLD, [lease.pk, lease.fence])
        row = cursor.fetchone()
    if row is None:
        raise LeaseLostError(f"{lease.table} {lease.pk} fence {lease.fence}")
    if row[0]:
        raise Cancelled


def advance(lease: Lease, step: Step, *, shown: Sequence[str] | None) -> Moved:
    """Move the run on by one page. `shown` are hex ids a complete walk remembers.

    One statement: alone it is a transaction of its own, and finding the row no longer ours it writes nothing.
    """
    statement = _ADVANCE
    values: list[Any] = [
        lease.seconds,
        None if step.position is None else orjson.dumps(dict(step.position)).decode(),
        step.position is None,
        step.page_no,
        step.digest,
        step.newest,
        step.total,
        step.read,
        step.created,
        step.updated,
        step.unchanged,
        step.quarantined,
        lease.pk,
        lease.fence,
    ]
    if shown is not None:
        statement += _SHOWN
        values += [step.page_no, "{" + ",".join(shown) + "}"]
    with prepared.cursor() as cursor:
        cursor.execute(statement + " SELECT must_stop, clock_timestamp() FROM moved", values)
        row = cursor.fetchone()
    if row is None:
        raise LeaseLostError(f"{lease.table} {lease.pk} fence {lease.fence}")
    return Moved(*row)
