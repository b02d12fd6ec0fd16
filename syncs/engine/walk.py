"""Walking a list: the next page is fetched while the last one is written.

The thread that fetches speaks HTTP and cuts answers into objects; it never touches the database. Everything else, the
lease before each call included, happens here in the worker's own thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from django.conf import settings
from django.db import transaction

from connections.services import record_success, take_call
from core.errors import BadAnswerError
from core.leases import Lease
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Page, Position, PositionExpiredError, Window
from syncs.engine import store
from syncs.engine.checkpoint import MUST_STOP
from syncs.engine.errors import Cancelled, OutOfTime, Wait
from syncs.engine.outcomes import now
from syncs.engine.prepare import Prepared, Preparer, Sighted
from syncs.engine.writing import PageWriter
from syncs.models import SyncRun
from syncs.packing import packer_for

MAX_RESTARTS = 3
# A page's commit renews the lease; a call that follows within this time needs no renewal of its own.
FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Fetched:
    """A page and what could be made of it without the database. `prepared` when all of it is sure to be written.

    `asked_at`: a time of the database's clock that is not later than the call.
    """

    asked_at: datetime
    page: Page
    sighted: Sighted
    prepared: Prepared | None


@dataclass(frozen=True)
class Remapped:
    """A page of stored objects that is being mapped. `last`: the id of its last; `read_at`: the database's clock, not
    later than when it was read."""

    last: UUID
    read_at: datetime
    prepared: Future[Prepared]


class Walk:
    """One run's pages, from its checkpoint to the end of the list."""

    def __init__(
        self, run: SyncRun, lease: Lease, connector: Connector, resource: Resource, preparer: Preparer
    ) -> None:
        self.run, self.lease, self.connector, self.resource = run, lease, connector, resource
        self.preparer = preparer
        self.writer = PageWriter(run, lease, resource)
        self.scope = self.writer.scope
        self.stop_at = time.monotonic() + settings.SYNC_WORK_BUDGET_SECONDS
        self._must_stop, self._renewed_at = False, float("-inf")
        self._clock = now()  # the database's, when the lease was renewed last
        # Nothing stored to compare with: everything is mapped at once, in the thread that fetches.
        self.copy_is_empty = store.is_empty(self.scope)
        # The fetching thread packs too, with a packer of its own: none may be used by two threads at once.
        self.pack: Callable[[list[bytes]], list[bytes]] | None = None

    # --- upstream -----------------------------------------------------------------------------------------------

    def fetch_all(self, window: Window) -> None:
        """Walk to the end. Ends early by Wait, OutOfTime, Cancelled, LeaseLostError or the connector's error."""
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
            page_no, position = self.run.page_no, self.run.position
            pending: Future[Fetched] | None = self._ask(pool, window, position)
            heard = False  # one good page ends a row of failures
            while pending is not None:
                try:
                    fetched = pending.result()
                except PositionExpiredError:
                    pending, page_no, position = self._restart(pool, window), 0, None
                    continue
                if not heard:
                    record_success(self.run.connection_id, self.run.workspace_id)
                    heard = True
                page = fetched.page
                digest = self._digest(page, position)
                with self._next(pool, window, page) as pending:
                    page_no += 1
                    prepared = self._prepared(fetched)
                    self._commit(prepared, asked_at=fetched.asked_at, page_no=page_no, page=page, digest=digest)
                position = page.next

    def _ask(self, pool: ThreadPoolExecutor, window: Window, position: Position | None) -> Future[Fetched]:
        return pool.submit(self._fetch, window, position, self.before_call())

    def _fetch(self, window: Window, position: Position | None, asked_at: datetime) -> Fetched:
        """In the other thread: no database here."""
        page = self.connector.fetch_page(self.resource, window, position)
        sighted = self.preparer.sight(page.records, page.unreadable)
        if not self.copy_is_empty:
            return Fetched(asked_at, page, sighted, None)
        prepared = self.preparer.prepare(sighted)
        if self.pack is not None:
            prepared.pack(self.pack)
        return Fetched(asked_at, page, sighted, prepared)

    def _prepared(self, fetched: Fetched) -> Prepared:
        if fetched.prepared is not None:
            return fetched.prepared
        return self.preparer.prepare(fetched.sighted, store.differing(self.scope, fetched.sighted.good))

    def _commit(self, prepared: Prepared, *, asked_at: datetime, page_no: int, page: Page, digest: str) -> None:
        began = time.monotonic()
        self._must_stop, self._clock = self.writer.commit_page(
            prepared, asked_at=asked_at, page_no=page_no, page=page, digest=digest
        )
        if self.pack is None and self.writer.packer.has_dictionary:
            self.pack = packer_for(self.run.connection_id, self.scope.entity).pack
        self._renewed_at = began
        if self._must_stop and page.next is not None:
            raise Cancelled

    @contextmanager
    def _next(self, pool: ThreadPoolExecutor, window: Window, page: Page) -> Iterator[Future[Fetched] | None]:
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

    def before_call(self) -> datetime:
        """Have a fresh lease, honour a wish to stop, take from the connection's budget. Before every call.

        Answers a time of the database's clock that is not later than the call: what it tells is no older.
        """
        if time.monotonic() - self._renewed_at > FRESH_SECONDS:
            began = time.monotonic()
            self._must_stop, self._clock = self.lease.renew(returning=f"{MUST_STOP}, clock_timestamp()")
            self._renewed_at = began
        if self._must_stop:
            raise Cancelled
        seconds = take_call(self.run.connection, self.connector.limits)
        if seconds > 0:
            raise Wait(seconds, "the connection's request budget is used up")
        return self._clock

    def _restart(self, pool: ThreadPoolExecutor, window: Window) -> Future[Fetched]:
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
        prepared = self.preparer.prepare(self.preparer.sight((remote_id, raw) for remote_id, raw, _ in waiting))
        # It is as old as when it was set aside: what we wrote since is read again instead.
        oldest = min(seen_at for _, _, seen_at in waiting)
        self.writer.write(prepared, asked_at=oldest, seen_upstream=False)

    def remap_all(self, page_size: int = 1000) -> None:
        """Map every stored raw object again, the next page while the last one is written; the checkpoint is the last id."""
        with ThreadPoolExecutor(1, thread_name_prefix="remap") as pool:
            if self.writer.packer.has_dictionary:
                self.pack = packer_for(self.run.connection_id, self.scope.entity).pack
            page_no = self.run.page_no
            pending = self._remap_page(pool, (self.run.position or {}).get("after"), page_size)
            while pending is not None:
                if self._must_stop:
                    raise Cancelled
                last, read_at, prepared = pending.last, pending.read_at, pending.prepared.result()
                pending = self._remap_page(pool, last, page_size)
                page_no += 1
                page = Page(records=[], next={"after": str(last)})
                self._commit(prepared, asked_at=read_at, page_no=page_no, page=page, digest="")
                if time.monotonic() > self.stop_at:
                    raise OutOfTime

    def _remap_page(self, pool: ThreadPoolExecutor, after: UUID | str | None, page_size: int) -> Remapped | None:
        """Read the page here and have it mapped in the other thread; None at the end."""
        read_at = self._clock
        stored = store.stored_raw(self.scope, after, page_size)
        if not stored:
            return None
        return Remapped(stored[-1].id, read_at, pool.submit(self._map_again, stored))

    def _map_again(self, stored: list[store.Stored]) -> Prepared:
        """In the other thread: no database here."""
        prepared = self.preparer.prepare(self.preparer.sight((one.remote_id, one.raw) for one in stored))
        if self.pack is not None:
            prepared.pack_bodies(self.pack, {one.id.hex: one.packed for one in stored})
        return prepared

    def take_again(self, remote_id: str, raw: bytes, asked_at: datetime) -> None:
        """Write one object that was read alone, if it differs."""
        sighted = self.preparer.sight([(remote_id, raw)])
        prepared = self.preparer.prepare(sighted, store.differing(self.scope, sighted.good))
        self.writer.write(prepared, asked_at=asked_at)
