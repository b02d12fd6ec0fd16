"""Walking a list: the next page is fetched while the last one is written.

The thread that fetches speaks HTTP and cuts answers into objects; it never touches the database. Everything else, the
lease before each call included, happens here in the worker's own thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from connections.services import record_success, take_call
from core.errors import BadAnswerError, BugError
from core.leases import Lease
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Page, Position, PositionExpiredError, Window
from syncs.choices import Mode
from syncs.engine import store
from syncs.engine.errors import Cancelled, OutOfTime, Wait
from syncs.engine.outcomes import origin
from syncs.engine.prepare import Prepared, Preparer, Rejected
from syncs.engine.store import Scope, Written
from syncs.models import SyncRun
from workspaces.choices import EventType
from workspaces.events import emit_records

MAX_RESTARTS = 3
STOP_COLUMNS = (
    "cancel_requested, (SELECT c.paused OR c.health NOT IN ('active', 'offline') OR NOT s.enabled"
    " FROM connections_connection c, syncs_sync s WHERE c.id = connection_id AND s.id = sync_id)"
)


class Walk:
    """One run's pages, from its checkpoint to the end of the list."""

    def __init__(
        self, run: SyncRun, lease: Lease, connector: Connector, resource: Resource, preparer: Preparer
    ) -> None:
        self.run, self.lease, self.connector, self.resource = run, lease, connector, resource
        self.preparer = preparer
        self.scope = Scope(run.workspace_id, run.connection_id, run.sync_id, run.sync.entity)
        store.make_staging()
        self.stop_at = time.monotonic() + settings.SYNC_WORK_BUDGET_SECONDS
        self.has_quarantine = bool(store.quarantined(self.scope, limit=1))

    # --- upstream -----------------------------------------------------------------------------------------------

    def fetch_all(self, window: Window) -> None:
        """Walk to the end. Ends early by Wait, OutOfTime, Cancelled, LeaseLostError or the connector's error."""
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
            page_no, position = self.run.page_no, self.run.position
            pending: Future[Page] | None = self._ask(pool, window, position)
            while pending is not None:
                try:
                    page = pending.result()
                except PositionExpiredError:
                    pending, page_no, position = self._restart(pool, window), 0, None
                    continue
                digest = self._digest(page, position)
                with self._next(pool, window, page) as pending:
                    page_no += 1
                    prepared = self.preparer.prepare(page.records, page.unreadable)
                    self._commit(prepared, page_no=page_no, page=page, digest=digest)
                position = page.next
        record_success(self.run.connection_id, self.run.workspace_id)

    def _ask(self, pool: ThreadPoolExecutor, window: Window, position: Position | None) -> Future[Page]:
        self.before_call()
        return pool.submit(self.connector.fetch_page, self.resource, window, position)

    @contextmanager
    def _next(self, pool: ThreadPoolExecutor, window: Window, page: Page) -> Iterator[Future[Page] | None]:
        """Ask for the following page, then let the block write this one. What forbids asking is raised after it."""
        pending, held_up = None, None
        if page.next is not None:
            try:
                if time.monotonic() > self.stop_at:
                    raise OutOfTime
                pending = self._ask(pool, window, page.next)
            except (Wait, OutOfTime, Cancelled) as error:
                held_up = error
        yield pending
        if held_up is not None:
            raise held_up

    def before_call(self) -> None:
        """Renew the lease, honour a wish to stop, take from the connection's budget. Before every call."""
        cancelled, may_not = self.lease.renew(returning=STOP_COLUMNS)
        if cancelled or may_not:
            raise Cancelled
        seconds = take_call(self.run.connection, self.connector.limits)
        if seconds > 0:
            raise Wait(seconds, "the connection's request budget is used up")

    def _restart(self, pool: ThreadPoolExecutor, window: Window) -> Future[Page]:
        """The page token expired: the same window again, from its start."""
        self.run.restarts += 1
        if self.run.restarts > MAX_RESTARTS:
            raise BadAnswerError(
                "The system forgets its page token again and again; a smaller page size may help.", code="PAGING_STUCK"
            )
        with transaction.atomic():
            self.lease.lock()
            SyncRun.objects.filter(pk=self.run.pk).update(
                restarts=self.run.restarts, position=None, page_no=0, last_page_digest="", read_count=0,
                unchanged_count=0, quarantined_count=0,
            )  # fmt: skip
            self.run.pages.all().delete()
        self.run.last_page_digest = ""
        return self._ask(pool, window, None)

    def _digest(self, page: Page, position: Position | None) -> str:
        """Of the ids of a page. The same ids twice in a row, or no progress at all, would go on for ever."""
        digest = blake2b("\n".join(remote_id for remote_id, _ in page.records).encode(errors="replace"), digest_size=16)
        shown = digest.hexdigest()
        repeated = page.records and shown == self.run.last_page_digest
        if page.next is not None and (repeated or page.next == position):
            raise BadAnswerError("The system answers the same page again and again.", code="PAGING_STUCK")
        self.run.last_page_digest = shown
        return shown

    # --- local --------------------------------------------------------------------------------------------------

    def retry_quarantined(self) -> None:
        """Try again what was set aside, with this run's mapping. Not read upstream, so it moves no counters of pages."""
        waiting = store.quarantined(self.scope)
        if not waiting:
            return
        self.write(self.preparer.remap(waiting), seen_upstream=False)

    def remap_all(self, page_size: int = 500) -> None:
        """Map every stored raw object again; the checkpoint is the last id."""
        after = (self.run.position or {}).get("after")
        page_no = self.run.page_no
        while stored := store.stored_raw(self.scope, after, page_size):
            cancelled, may_not = self.lease.renew(returning=STOP_COLUMNS)
            if cancelled or may_not:
                raise Cancelled
            page_no += 1
            after = stored[-1][0]
            prepared = self.preparer.remap((remote_id, raw) for _, remote_id, raw in stored)
            page = Page(records=[], next={"after": str(after)})
            self._commit(prepared, page_no=page_no, page=page, digest="")
            if time.monotonic() > self.stop_at:
                raise OutOfTime

    # --- one transaction ----------------------------------------------------------------------------------------

    def _commit(self, prepared: Prepared, *, page_no: int, page: Page, digest: str) -> None:
        """Write a page with its checkpoint, counters and events: together or not at all."""

        def write(prepared: Prepared) -> None:
            with transaction.atomic():
                written = self._write(prepared)
                if self.run.mode == Mode.FULL:
                    store.remember_page(self.run.pk, page_no, prepared.seen)
                self._advance(prepared, written, page_no=page_no, page=page, digest=digest)

        self._without_culprits(write, prepared)

    def write(self, prepared: Prepared, *, seen_upstream: bool = True) -> None:
        """Write records outside the walk (a confirmed one, a released one), with their events."""

        def write(prepared: Prepared) -> None:
            with transaction.atomic():
                written = self._write(prepared, seen_upstream=seen_upstream)
                SyncRun.objects.filter(pk=self.run.pk).update(
                    created_count=F("created_count") + len(written.created),
                    updated_count=F("updated_count") + len(written.updated) + len(written.restored),
                )

        self._without_culprits(write, prepared)

    def _without_culprits(self, write: Callable[[Prepared], None], prepared: Prepared) -> None:
        """Write; when PostgreSQL refuses the page, set aside the rows it refuses and write the others."""
        try:
            write(prepared)
        except store.REFUSALS as error:
            refused = store.culprits(self.scope, self.run.pk, prepared.rows)
            if not refused:
                raise BugError("A page was refused by the database, but none of its rows.") from error
            bad = {row.id for row, _ in refused}
            rejected = [Rejected(r.id, r.remote_id, r.raw.encode(), "DATABASE_REFUSED", why) for r, why in refused]
            rows = [row for row in prepared.rows if row.id not in bad]
            write(replace(prepared, rows=rows, rejected=prepared.rejected + rejected))

    def _write(self, prepared: Prepared, *, seen_upstream: bool = True) -> Written:
        """Stage first, lock after: run, sync, then the records; events last."""
        if prepared.rows:
            store.stage(prepared.rows)
        self.lease.lock()
        written = store.write_staged(self.scope, self.run.pk) if prepared.rows else Written()
        if prepared.rejected:
            store.quarantine(self.scope, prepared.rejected, seen_upstream=seen_upstream)
            self.has_quarantine = True
        if self.has_quarantine and prepared.seen:
            bad = {item.id for item in prepared.rejected}
            store.release_quarantine(self.scope, [seen for seen in prepared.seen if seen not in bad])
        self._tell(written)
        return written

    def _tell(self, written: Written) -> None:
        prefix = self.resource.spec.id_prefix + "_"
        common = {"entity": self.scope.entity, **origin(self.run)}
        if written.created:
            emit_records(EventType.RECORD_CREATED, [prefix + i for i in written.created], **common)
        if written.updated or written.restored:
            changed = [prefix + i for i in (*written.updated, *written.restored)]
            emit_records(EventType.RECORD_UPDATED, changed, **common)

    def _advance(self, prepared: Prepared, written: Written, *, page_no: int, page: Page, digest: str) -> None:
        run = self.run
        if page.newest is not None and (run.newest is None or page.newest > run.newest):
            run.newest = page.newest
        changes: dict[str, Any] = {
            "position": page.next,
            "walk_done": page.next is None,
            "page_no": page_no,
            "last_page_digest": digest,
            "newest": run.newest,
            "attempts": 0,
            "error": None,
            "claims_without_progress": 0,
            "read_count": F("read_count") + prepared.read,
            "created_count": F("created_count") + len(written.created),
            "updated_count": F("updated_count") + len(written.updated) + len(written.restored),
            "unchanged_count": F("unchanged_count") + prepared.unchanged + len(written.same),
            "quarantined_count": F("quarantined_count") + len(prepared.rejected),
        }
        if page.total is not None:
            changes["total"] = page.total
        SyncRun.objects.filter(pk=run.pk).update(**changes)
