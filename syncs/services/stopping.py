"""Work of connections that were disconnected: ended at once, wherever it stands, so that nothing goes on by itself.

A worker that is at it sees the disconnect itself, before it writes a page or sends a request; here its run is taken from
it as well, should it be waiting for the system. Operations that may have been sent stay: their outcome is looked up
after a reconnect, or given to a person.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from connections.choices import ConnectionStatus
from integrations.entities import ENTITIES
from syncs.choices import OperationStatus, RunStatus, Stage
from syncs.engine.outcomes import disconnected
from syncs.models import Operation, RunPage, Sync, SyncRun
from syncs.operations import copying, outcomes
from syncs.operations.outcomes import Ending

_OVER = {"connection__health": ConnectionStatus.DISCONNECTED}


def stop_disconnected(limit: int) -> int:
    """End runs and unsent operations of disconnected connections, `limit` of each at the most. Answers how many.

    One short transaction each; rows that somebody holds are left to the next time.
    """
    runs = list(SyncRun.objects.active().filter(**_OVER).values_list("pk", flat=True)[:limit])
    queued = Operation.objects.filter(status=OperationStatus.QUEUED, **_OVER)
    operations = list(queued.values_list("pk", flat=True)[:limit])
    return sum(map(_stop_run, runs)) + sum(map(_stop_operation, operations))


def _stop_run(run_id: UUID) -> int:
    """Its worker, if it has one, loses its lease. The sync is due as soon as there is a connection again."""
    with transaction.atomic():
        rows = SyncRun.objects.active().filter(pk=run_id, **_OVER)
        run = rows.select_for_update(of=("self",), skip_locked=True).first()
        if run is None:
            return 0
        SyncRun.objects.filter(pk=run_id).update(
            status=RunStatus.CANCELLED, fence=F("fence") + 1, finished_at=Now(), lease_until=None, phase="",
            position=None, error=disconnected().error,
        )  # fmt: skip
        RunPage.objects.filter(run_id=run_id).delete()
        Sync.objects.filter(pk=run.sync_id).update(next_run_at=Now())
    return 1


def _stop_operation(operation_id: UUID) -> int:
    """Nothing of it is under way at the system."""
    with transaction.atomic():
        rows = Operation.objects.filter(pk=operation_id, status=OperationStatus.QUEUED, stage=Stage.PLANNED, **_OVER)
        locked = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
        operation = locked.select_related("connection").first()
        if operation is None:
            return 0
        outcomes.settle(
            operation,
            Ending(OperationStatus.FAILED, outcomes.disconnected()),
            prefix=ENTITIES[operation.entity].describes.id_prefix,
            cause=copying.cause_of(operation, operation.connection.environment),
        )
    return 1
