"""Leased work: rows that workers claim, keep alive and finish, safe under kill -9, double delivery and frozen workers.

A unit of work is a row. Claiming is one conditional UPDATE that raises `fence`; a worker may write only while its fence
is the row's and its lease has not run out, by the database's clock. A worker that lost its lease reads, never writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

from django.db import connection, models
from django.db.models.functions import Now

MAX_CLAIMS_WITHOUT_PROGRESS = 5
REHINT_AFTER_SECONDS = 60


class LeaseLostError(Exception):
    """Somebody else holds the row now, or the lease ran out: stop without writing."""


class LeasedWork(models.Model):
    """Base of every unit of work. `RUNNABLE` are the states a claim may start from once `due_at` has come."""

    RUNNABLE: ClassVar[tuple[str, ...]] = ("queued", "waiting")
    RUNNING: ClassVar[str] = "running"

    status = models.CharField(max_length=16, default="queued", db_index=False)
    due_at = models.DateTimeField(db_default=Now(), help_text="Not claimed before this time (database clock, UTC).")
    lease_until = models.DateTimeField(null=True, blank=True, help_text="The holder may write until then.")
    fence = models.BigIntegerField(default=0, help_text="Raised by each claim; older holders are refused.")
    claims_without_progress = models.SmallIntegerField(
        default=0, help_text=f"{MAX_CLAIMS_WITHOUT_PROGRESS} claims that moved nothing fail the row for good."
    )
    hinted_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")

    class Meta:
        abstract = True


@dataclass(frozen=True)
class Lease:
    """The right to work on one row. `seconds` is how long each claim and renewal lasts."""

    table: str
    pk: UUID
    fence: int
    seconds: float
    exhausted: bool = False  # claimed too often without progress: the holder must fail the row, not work on it

    # The condition under which the holder may write; its parameters are `pk, fence`.
    HELD: ClassVar[str] = "id = %s AND fence = %s AND status = 'running' AND lease_until > clock_timestamp()"

    def lasting(self, seconds: float) -> Lease:
        """The same right, each renewal of which lasts so long: for a call that takes longer than usual."""
        return replace(self, seconds=seconds)

    def renew(self, returning: str = "1") -> tuple[Any, ...]:
        """Extend the lease before an outgoing call. Answers the columns named by `returning` (from our code only).

        Call it outside of transactions. Nothing of value is written, so its commit does not wait for the disk.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} AS work SET lease_until = clock_timestamp() + %s * interval '1 second'"
                " FROM (SELECT set_config('synchronous_commit', 'off', true)) AS here"
                f" WHERE {self.HELD} RETURNING {returning}",
                [self.seconds, self.pk, self.fence],
            )
            row = cursor.fetchone()
        if row is None:
            raise LeaseLostError(f"{self.table} {self.pk} fence {self.fence}")
        return tuple(row)

    def lock(self, returning: str = "1") -> tuple[Any, ...]:
        """Lock the row for this transaction, first of all rows; raises LeaseLostError when it is no longer ours."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {returning} FROM {self.table} WHERE {self.HELD} FOR UPDATE", [self.pk, self.fence])
            row = cursor.fetchone()
        if row is None:
            raise LeaseLostError(f"{self.table} {self.pk} fence {self.fence}")
        return tuple(row)


def claim(model: type[LeasedWork], pk: UUID, *, seconds: float) -> Lease | None:
    """Take the row if it is due and free, or its holder's lease ran out. None when it is not to be had now."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {table} SET status = %s, fence = fence + 1,
                lease_until = clock_timestamp() + %s * interval '1 second',
                claims_without_progress = claims_without_progress + 1
            WHERE id = %s AND due_at <= clock_timestamp()
              AND (status = ANY(%s) OR (status = %s AND lease_until <= clock_timestamp()))
            RETURNING fence, claims_without_progress""",
            [model.RUNNING, seconds, pk, list(model.RUNNABLE), model.RUNNING],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return Lease(table, pk, row[0], seconds, exhausted=row[1] > MAX_CLAIMS_WITHOUT_PROGRESS)


def take_due_for_hint(model: type[LeasedWork], limit: int = 200) -> list[UUID]:
    """Ids of due rows nobody was told of since they fell due or in the last minute, marked as told.

    Several tickers share them. A row whose holder died falls due when the lease runs out.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {table} SET hinted_at = clock_timestamp() WHERE id IN (
                SELECT id FROM {table}
                WHERE due_at <= clock_timestamp()
                  AND (status = ANY(%s) OR (status = %s AND lease_until <= clock_timestamp()))
                  AND (hinted_at IS NULL OR hinted_at < greatest(due_at, lease_until)
                       OR hinted_at < clock_timestamp() - %s * interval '1 second')
                ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING id""",
            [list(model.RUNNABLE), model.RUNNING, REHINT_AFTER_SECONDS, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def oldest_due_seconds(model: type[LeasedWork]) -> float | None:
    """Seconds the longest-waiting due row has waited, None when nothing is due."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT extract(epoch FROM clock_timestamp() - min(greatest(due_at, coalesce(lease_until, due_at))))
            FROM {table} WHERE due_at <= clock_timestamp()
              AND (status = ANY(%s) OR (status = %s AND lease_until <= clock_timestamp()))""",
            [list(model.RUNNABLE), model.RUNNING],
        )
        (seconds,) = cursor.fetchone()
    return None if seconds is None else float(seconds)
