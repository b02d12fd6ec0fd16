"""After a complete walk: what it did not show may be gone. Guarded, confirmed, and only then a tombstone."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from core.errors import (
    BusinessRuleError,
    ConflictError,
    LineshaftError,
    NotFoundError,
    NotLicensedError,
    NotSupportedError,
    PermissionDeniedError,
    ValidationFailedError,
)
from syncs.choices import Phase, RunStatus
from syncs.engine import store
from syncs.engine.checkpoint import hold
from syncs.engine.errors import OutOfTime, Wait
from syncs.engine.outcomes import Ending, origin
from syncs.engine.store import Scope
from syncs.engine.walk import Walk
from syncs.models import Suspect, SyncRun
from workspaces.choices import EventType
from workspaces.events import emit_records

GUARD_SHARE, GUARD_ROWS = 0.2, 10
MAX_CONFIRMATIONS = 200
# The system refuses this object, not us: the others are asked for all the same.
ABOUT_ONE_OBJECT = (PermissionDeniedError, NotLicensedError, ValidationFailedError, BusinessRuleError, ConflictError)


class Sweep:
    """Judges what a complete walk did not show."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self.run, self.scope = walk, walk.run, walk.scope

    def judge(self) -> Ending:
        """Delete what is surely gone, or hold it for review. A wrong scope upstream looks like an empty list."""
        assert self.run.started_at is not None
        self._phase(Phase.SWEEPING)
        suspects = store.missing(
            self.scope,
            self.run.pk,
            began=self.run.started_at,
            since=self.run.window_since,
            open_statuses=sorted(self.walk.resource.spec.open_statuses),
        )
        read, created = SyncRun.objects.values_list("read_count", "created_count").get(pk=self.run.pk)
        judged = len(suspects) + read - created  # what the copy held: shown and not new, or missed
        if _suspicious(len(suspects), judged, read):
            self._hold(suspects)
            return Ending(RunStatus.NEEDS_REVIEW, error=self._explain(len(suspects), judged), complete_walk=True)
        self._bury_what_is_gone(suspects)
        with transaction.atomic():
            self.walk.lease.lock()
            store.forget_quarantine(self.scope, before=self.run.started_at)
        return Ending(RunStatus.COMPLETED, complete_walk=True)

    def _hold(self, suspects: list[tuple[str, str]]) -> None:
        with transaction.atomic():
            self.walk.lease.lock()
            Suspect.objects.filter(run=self.run).delete()
            Suspect.objects.bulk_create(
                [Suspect(run=self.run, record_id=record, remote_id=remote) for record, remote in suspects],
                batch_size=5000,
            )

    def _explain(self, missing: int, judged: int) -> dict[str, Any]:
        return {
            "code": "DELETIONS_NEED_REVIEW",
            "category": "business_rule",
            "message": f"{missing} of {judged} records were not in the complete list. Nothing was deleted.",
            "who_must_act": "operator",
            "retryable": False,
            "action": "Check the account's rights and scope in the system, then release the records or delete them.",
            "source": None,
        }

    def _bury_what_is_gone(self, suspects: list[tuple[str, str]]) -> None:
        """Few are asked for one by one; of many only those go that a second full run in a row misses."""
        if not suspects:
            return
        if len(suspects) <= MAX_CONFIRMATIONS:
            try:
                self._confirm(suspects)
                return
            except NotSupportedError:
                pass  # the system cannot read one object again: the second walk decides
        every = [record for record, _ in suspects]
        earlier = self.run.sync.last_full_run_id
        gone = store.missed_before(self.scope, every, earlier) if earlier else []
        with transaction.atomic():
            self._settle(gone, [])
            store.mark_missing(self.scope, sorted(set(every) - set(gone)), self.run.pk)

    def _confirm(self, suspects: list[tuple[str, str]]) -> None:
        """Those the system itself says are gone are buried. One that answers lives: it is written as it is now.

        What was learnt before the run has to wait is kept, so that it goes on behind it.
        """
        self._phase(Phase.CONFIRMING)
        gone: list[str] = []
        alive: list[str] = []
        try:
            for record, remote_id in suspects:
                if time.monotonic() > self.walk.stop_at:
                    raise OutOfTime
                asked_at = self.walk.before_call()
                try:
                    raw = self.walk.connector.fetch_one(self.walk.resource, remote_id)
                except NotFoundError:
                    gone.append(record)
                except ABOUT_ONE_OBJECT:
                    alive.append(record)  # it was not said to be gone, so it is not
                else:
                    self.walk.take_again(remote_id, raw, asked_at)
                    alive.append(record)
        except (Wait, OutOfTime, LineshaftError):
            self._settle(gone, alive)
            raise
        self._settle(gone, alive)

    def _settle(self, gone: list[str], alive: list[str]) -> None:
        """Bury the ones, and count the others among those the walk showed."""
        if not gone and not alive:
            return
        with transaction.atomic():
            hold(self.walk.lease)
            tombstone(self.run, self.scope, gone, prefix=self.walk.resource.spec.id_prefix)
            if alive:
                store.remember_shown(self.run.pk, alive)

    def _phase(self, phase: Phase) -> None:
        with transaction.atomic():
            self.walk.lease.lock()
            SyncRun.objects.filter(pk=self.run.pk).update(phase=phase)


def _suspicious(missing: int, judged: int, read: int) -> bool:
    """Too much at once; or an empty walk over a copy that is not."""
    return bool(missing) and (read == 0 or (missing >= GUARD_ROWS and missing > GUARD_SHARE * judged))


def tombstone(run: SyncRun, scope: Scope, record_ids: list[str], *, prefix: str, before: datetime | None = None) -> int:
    """Mark records deleted, with their events, in the current transaction. What was written since `before` lives; that is
    the start of the run, if nothing else is said."""
    if not record_ids:
        return 0
    before = before or run.started_at
    assert before is not None
    buried = store.bury(scope, record_ids, before=before)
    SyncRun.objects.filter(pk=run.pk).update(deleted_count=F("deleted_count") + len(buried))
    emit_records(
        EventType.RECORD_DELETED, [f"{prefix}_{record}" for record in buried], entity=scope.entity, **origin(run)
    )
    return len(buried)
