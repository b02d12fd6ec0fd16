"""Writing pages: each with its checkpoint, counters and events in one transaction under the run's lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import F

from core.errors import BugError
from core.leases import Lease
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Page
from syncs.choices import Mode
from syncs.engine import store
from syncs.engine.checkpoint import Moved, Step, advance, hold
from syncs.engine.outcomes import origin
from syncs.engine.own_writes import OwnWrites
from syncs.engine.prepare import Prepared, Rejected
from syncs.engine.store import Scope, Written
from syncs.models import SyncRun
from syncs.packing import learn, packer_for, unpack
from workspaces.choices import EventType
from workspaces.events import emit_records

Outcome = TypeVar("Outcome")


class PageWriter:
    """Writes what one run found."""

    def __init__(self, run: SyncRun, lease: Lease, resource: Resource) -> None:
        self.run, self.lease, self.prefix = run, lease, resource.spec.id_prefix
        self.scope = Scope(run.workspace_id, run.connection_id, run.sync_id, run.sync.entity)
        self.packer = packer_for(run.connection_id, self.scope.entity)
        store.make_staging()
        self.has_quarantine = store.has_quarantined(self.scope)
        self.own = OwnWrites(self.scope, run.pk)

    def commit_page(self, prepared: Prepared, *, asked_at: datetime, page_no: int, page: Page, digest: str) -> Moved:
        """Write a page with its checkpoint, counters and events, together or not at all.

        `asked_at` (database clock): the page may be as old as that. What an own write touched since is left out.
        """
        if page.newest is not None and (self.run.newest is None or page.newest > self.run.newest):
            self.run.newest = page.newest

        def write(prepared: Prepared) -> Moved:
            if not (prepared.rows or prepared.rejected or self.has_quarantine or self.own.wait_for(prepared.seen)):
                return self._advance(prepared, Written(), page_no=page_no, page=page, digest=digest)
            with transaction.atomic():
                prepared, written = self._write(prepared, asked_at)
                return self._advance(prepared, written, page_no=page_no, page=page, digest=digest)

        return self._without_culprits(write, prepared)

    def write(self, prepared: Prepared, *, asked_at: datetime, seen_upstream: bool = True) -> None:
        """Write records outside the walk (a confirmed one, a released one), with their events."""

        def write(prepared: Prepared) -> None:
            with transaction.atomic():
                prepared, written = self._write(prepared, asked_at, seen_upstream=seen_upstream)
                SyncRun.objects.filter(pk=self.run.pk).update(
                    created_count=F("created_count") + len(written.created),
                    updated_count=F("updated_count") + len(written.updated) + len(written.restored),
                )

        self._without_culprits(write, prepared)

    def _without_culprits(self, write: Callable[[Prepared], Outcome], prepared: Prepared) -> Outcome:
        """Write; when PostgreSQL refuses the page, set aside the rows it refuses and write the others."""
        self._pack(prepared)
        try:
            return write(prepared)
        except store.REFUSALS as error:
            refused = store.culprits(self.scope, self.run.pk, prepared.rows)
            if not refused:
                raise BugError("A page was refused by the database, but none of its rows.") from error
            bad = {row.id for row, _ in refused}
            raws = unpack((row.raw for row, _ in refused), connection_id=self.scope.connection_id)
            rejected = [
                Rejected(row.id, row.remote_id, raw, "DATABASE_REFUSED", why)
                for (row, why), raw in zip(refused, raws, strict=True)
            ]
            rows = [row for row in prepared.rows if row.id not in bad]
            return write(replace(prepared, rows=rows, rejected=prepared.rejected + rejected))

    def _pack(self, prepared: Prepared) -> None:
        """Pack what is to be stored, learning from the first page that has enough to teach."""
        if prepared.rows and not prepared.packed and not self.packer.has_dictionary:
            texts = [text for row in prepared.rows for text in (row.body, row.raw)]
            scope = self.scope
            learnt = learn(
                texts, workspace_id=scope.workspace_id, connection_id=scope.connection_id, entity=scope.entity
            )
            self.packer = learnt or self.packer
        prepared.pack(self.packer.pack)

    def _write(self, prepared: Prepared, asked_at: datetime, *, seen_upstream: bool = True) -> tuple[Prepared, Written]:
        """Stage first, lock after: run, sync, then the records; events last. Answers what was written, and what that did."""
        if prepared.rows:
            store.stage(prepared.rows)
        hold(self.lease)
        left = self.own.take_out(prepared, asked_at)
        if left:
            prepared = prepared.without(left)
        is_remap = self.run.mode == Mode.REMAP
        statement = store.REMAP if is_remap else store.WRITE
        written = store.write_staged(self.scope, self.run.pk, statement) if prepared.rows else Written()
        if prepared.rejected:
            store.quarantine(self.scope, prepared.rejected, seen_upstream=seen_upstream)
            self.has_quarantine = True
        if self.has_quarantine and prepared.seen:
            bad = left.union(item.id for item in prepared.rejected)
            store.release_quarantine(self.scope, [seen for seen in prepared.seen if seen not in bad])
        if seen_upstream and not is_remap and (found := self.own.wait_for(prepared.seen) - left):
            self.own.settle(found)
        self._tell(written)
        return prepared, written

    def _tell(self, written: Written) -> None:
        prefix = self.prefix + "_"
        common = {"entity": self.scope.entity, **origin(self.run)}
        if written.created:
            emit_records(EventType.RECORD_CREATED, [prefix + i for i in written.created], **common)
        if written.updated or written.restored:
            changed = [prefix + i for i in (*written.updated, *written.restored)]
            emit_records(EventType.RECORD_UPDATED, changed, **common)

    def _advance(self, prepared: Prepared, written: Written, *, page_no: int, page: Page, digest: str) -> Moved:
        step = Step(
            page_no=page_no,
            position=page.next,
            digest=digest,
            newest=self.run.newest,
            total=page.total,
            read=prepared.read,
            created=len(written.created),
            updated=len(written.updated) + len(written.restored),
            unchanged=prepared.unchanged + len(written.same),
            quarantined=len(prepared.rejected),
        )
        return advance(self.lease, step, shown=prepared.seen if self.run.mode == Mode.FULL else None)
