"""Held deletions: released or carried out by a person."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from core import ids
from core.errors import ConflictError
from integrations.entities import ENTITIES
from syncs.choices import Mode, Review, RunStatus
from syncs.engine.store import Scope
from syncs.engine.sweep import tombstone
from syncs.models import Suspect, SyncRun
from workspaces import audit


def review_run(run: SyncRun, decision: Review, *, by: str) -> SyncRun:
    """Release the suspects (they live) or delete them (tombstones and events, but for those written meanwhile).

    Errors: ConflictError when the run holds nothing for review (any more).
    """
    with transaction.atomic():
        run = SyncRun.objects.select_for_update(of=("self",)).select_related("sync", "connection").get(pk=run.pk)
        if run.status != RunStatus.NEEDS_REVIEW:
            raise ConflictError("This run holds nothing for review.", code="NOTHING_TO_REVIEW")
        if decision == Review.DELETED:
            if SyncRun.objects.filter(sync=run.sync, mode=Mode.FULL).active().exists():
                raise ConflictError(
                    "A full sync is looking at these records right now; decide when it has ended.",
                    code="FULL_SYNC_RUNNING",
                )
            scope = Scope(run.workspace_id, run.connection_id, run.sync_id, run.sync.entity)
            suspects = [pk.hex for pk in Suspect.objects.filter(run=run).values_list("record_id", flat=True)]
            tombstone(run, scope, suspects, prefix=ENTITIES[run.sync.entity].spec().id_prefix)
        held, _ = Suspect.objects.filter(run=run).delete()
        SyncRun.objects.filter(pk=run.pk).update(
            status=RunStatus.COMPLETED, review=decision, reviewed_at=Now(), reviewed_by=by, error=None
        )
        audit.record(
            "run.reviewed",
            workspace_id=run.workspace_id,
            about=("run", ids.show(SyncRun.PREFIX, run.pk) or ""),
            details={"connection": ids.show("con", run.connection_id), "decision": str(decision), "held": held},
        )
    run.refresh_from_db()
    return run
