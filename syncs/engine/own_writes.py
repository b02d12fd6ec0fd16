"""Pages beside writes of our own: what both touch is not taken from the page, but read alone later.

A page is as old as the moment it was asked for. A write that ended at that moment or later may have read back something
newer, and one under way will: such rows stay as they are stored, and wait in a queue. It belongs to the sync and not to
the run, so that it outlives a killed, failed or cancelled run, and a write that takes longer than a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from syncs.engine import store
from syncs.engine.outcomes import now
from syncs.engine.prepare import Prepared
from syncs.engine.store import Scope
from syncs.models import Record, Reread, SyncRun


class OwnWrites:
    """One sync's queue of what must be read alone, and who is put into it. Only `waiting` may be asked outside of `hold`."""

    def __init__(self, scope: Scope, run_id: UUID) -> None:
        self.scope, self.run_id = scope, run_id
        rows = Reread.objects.filter(sync_id=scope.sync_id)
        # What was ever queued, as far as this worker knows: looks are spared as long as there is nothing.
        self.queued = {record_id.hex for record_id in rows.values_list("record_id", flat=True)}

    def take_out(self, prepared: Prepared, asked_at: datetime) -> set[str]:
        """Unstage and queue what a write of ours overlaps; answers the hex ids, which are not to be written."""
        if not (prepared.rows or prepared.rejected) or not (ours := store.own_writes(self.scope, asked_at)):
            return set()
        shown = [(row.id, row.remote_id) for row in prepared.rows]
        shown += [(item.id, item.remote_id) for item in prepared.rejected]
        found = {record_id: remote_id for record_id, remote_id in shown if record_id in ours}
        if found:
            store.unstage(found)
            self._queue(found.items())
        return set(found)

    def _queue(self, left: Collection[tuple[str, str]]) -> None:
        scope = self.scope
        Reread.objects.bulk_create(
            [
                Reread(workspace_id=scope.workspace_id, sync_id=scope.sync_id, record_id=record_id, remote_id=remote_id)
                for record_id, remote_id in left
            ],
            ignore_conflicts=True,
        )
        self.queued |= {record_id for record_id, _ in left}

    def wait_for(self, seen: Iterable[str]) -> set[str]:
        """Which of the records a page showed may be waiting in the queue."""
        return self.queued.intersection(seen) if self.queued else set()

    def settle(self, record_ids: Collection[str]) -> None:
        """These are known again as they are now. A queue that grew shorter is progress."""
        settled, _ = Reread.objects.filter(sync_id=self.scope.sync_id, record_id__in=record_ids).delete()
        if settled:
            SyncRun.objects.filter(pk=self.run_id).update(claims_without_progress=0)

    def waiting(self) -> list[tuple[str, str]]:
        """(hex id, remote id) of what can be read now: whatever writes of ours changed it have ended."""
        if not self.queued:
            return []
        rows = Reread.objects.filter(sync_id=self.scope.sync_id).order_by("pk").values_list("record_id", "remote_id")
        under_way = store.own_writes(self.scope, now())
        return [(record_id.hex, remote_id) for record_id, remote_id in rows if record_id.hex not in under_way]

    def give_up(self, record_ids: Collection[str]) -> None:
        """These cannot be read alone: the next page that shows them is believed, whatever is stored."""
        scope = self.scope
        Record.objects.filter(pk__in=record_ids, connection_id=scope.connection_id, entity=scope.entity).update(
            fingerprint=None
        )
        self.settle(record_ids)
