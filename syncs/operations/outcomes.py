"""How an operation moves on: intent, answers, waiting, its end. Each is one transaction under its lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, transaction
from django.db import connection as database
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now

from connections.services import error_json
from core import hints, ids
from core.errors import BadAnswerError, Category, ConflictError, LineshaftError, TransientError
from core.leases import Lease
from syncs.choices import UNFINISHED, OperationStatus, Stage
from syncs.engine import store
from syncs.engine.checkpoint import IS_DISCONNECTED
from syncs.engine.outcomes import DISCONNECTED, now
from syncs.models import Operation, Record
from syncs.operations import copying
from syncs.operations.copying import Seen
from workspaces.choices import EventType
from workspaces.events import emit

TASK = "syncs.execute_operation"
QUEUE = "operations"
# What a session ends with: nothing can be written then.
DATABASE_LOST = (OperationalError, InterfaceError, InternalError)
RESEND_SECONDS = (1.0, 3.0, 10.0, 30.0, 60.0)
UNDER_WAY = (Stage.SENDING, Stage.ACCEPTED, Stage.APPLIED)
LOOKUP_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
JOB_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SENDING = f"""UPDATE syncs_operation SET stage = 'sending', attempts = attempts + 1,
    sent_at = clock_timestamp(), lost_at = NULL, first_sent_at = coalesce(first_sent_at, clock_timestamp()),
    lease_until = clock_timestamp() + %s * interval '1 second'
    WHERE {Lease.HELD}"""  # noqa: S608 (our own text)


@dataclass(frozen=True)
class Ending:
    """How an operation ended. `seen`: the object as it is now; `gone`: it is no more; neither: the copy is not touched."""

    status: OperationStatus
    error: LineshaftError | None = None
    seen: Seen | None = None
    gone: bool = False
    not_applied: Sequence[Mapping[str, Any]] = ()
    candidates: Sequence[Mapping[str, Any]] = ()
    effect: str = ""


def gap(seconds: Sequence[float], count: int) -> float:
    """The gap before try number `count` (from 0); the last one repeats."""
    return seconds[min(count, len(seconds) - 1)]


def plan(lease: Lease, operation: Operation, **fixed: Any) -> None:
    """Fix what will be sent. Nothing was sent yet."""
    with transaction.atomic():
        lease.lock()
        Operation.objects.filter(pk=operation.pk).update(claims_without_progress=0, **fixed)
    for name, value in fixed.items():
        setattr(operation, name, value)


def begin_sending(lease: Lease, operation: Operation) -> None:
    """Commit the intent, before the first byte. The copy's row is no longer what is there: the next page rewrites it.

    Errors: ConflictError CONNECTION_DISCONNECTED, and nothing is sent.
    """
    with transaction.atomic():
        (is_over,) = lease.lock(returning=IS_DISCONNECTED)
        if is_over:
            raise disconnected()
        with database.cursor() as cursor:
            cursor.execute(_SENDING, [lease.seconds, lease.pk, lease.fence])
        if operation.record_id is not None:
            Record.objects.filter(pk=operation.record_id, connection_id=operation.connection_id).update(
                fingerprint=None
            )
    operation.stage, operation.attempts = Stage.SENDING, operation.attempts + 1


def disconnected() -> ConflictError:
    """What stops an operation of a connection that was disconnected, as long as nothing of it is under way."""
    return ConflictError(
        "The connection was disconnected before this was sent. Reconnect it, then try the operation again.",
        code=DISCONNECTED,
    )


def answered(lease: Lease, operation: Operation, *, remote_id: str | None, job: Mapping[str, Any] | None) -> None:
    """A call was answered and done, or accepted as a job."""
    accepted = job is not None
    done = operation.call_no + (not accepted)
    stage = Stage.ACCEPTED if accepted else (Stage.APPLIED if done >= len(operation.calls) else Stage.PLANNED)
    changes: dict[str, Any] = {"stage": stage, "call_no": done, "job": job, "troubles": 0, "lookups": 0, "error": None}
    if remote_id is not None:
        changes |= {
            "remote_id": remote_id,
            "record_id": copying.record_id_of(operation.connection_id, operation.entity, remote_id),
        }
    if accepted and operation.job_deadline_at is None:
        changes["job_deadline_at"] = now() + timedelta(seconds=settings.OPERATION_JOB_SECONDS)
    with transaction.atomic():
        lease.lock()
        Operation.objects.filter(pk=operation.pk).update(claims_without_progress=0, **changes)
    for name, value in changes.items():
        setattr(operation, name, value)


def wait(lease: Lease, status: OperationStatus, seconds: float, **changes: Any) -> None:
    """Give the worker back until `seconds` from now. Waiting is no failed claim."""
    error = changes.pop("error", None)
    with transaction.atomic():
        lease.lock()
        if isinstance(error, LineshaftError):
            changes["error"] = error_json(error)
        Operation.objects.filter(pk=lease.pk).update(
            status=status,
            due_at=now() + timedelta(seconds=seconds),
            lease_until=None,
            hinted_at=None,
            claims_without_progress=Greatest(F("claims_without_progress") - 1, 0),
            **changes,
        )


_EVENTS = {
    OperationStatus.SUCCEEDED: EventType.OPERATION_SUCCEEDED,
    OperationStatus.FAILED: EventType.OPERATION_FAILED,
    OperationStatus.NEEDS_REVIEW: EventType.OPERATION_NEEDS_REVIEW,
}


def finish(lease: Lease, operation: Operation, ending: Ending, *, prefix: str, environment: str) -> None:
    """End it: outcome, copy and events in one transaction. Lock order: operation, sync, record, feed."""
    cause = copying.cause_of(operation, environment)
    if ending.seen is not None:
        copying.pack(ending.seen, operation.connection_id, operation.entity)
        store.make_staging()
    with transaction.atomic():
        if ending.seen is not None:
            copying.stage(ending.seen)
        lease.lock()
        write_copy(operation, ending, prefix, cause)
        settle(operation, ending, prefix=prefix, cause=cause)


def write_copy(operation: Operation, ending: Ending, prefix: str, cause: dict[str, Any]) -> None:
    """What the ending says of the object, into the copy."""
    if ending.seen is None and not ending.gone:
        return
    scope = copying.lock_sync(operation.connection, operation.entity)
    if ending.seen is not None:
        copying.write(scope, ending.seen, prefix, cause)
    elif operation.record_id is not None:
        copying.bury(scope, operation.record_id, prefix, cause)


def settle(operation: Operation, ending: Ending, *, prefix: str, cause: dict[str, Any]) -> None:
    """Write the ending on the row and tell it, in the current transaction, which holds the row."""
    error = _stored(ending.error) if ending.error is not None else None
    stage = operation.stage if ending.status == OperationStatus.NEEDS_REVIEW else Stage.ENDED
    Operation.objects.filter(pk=operation.pk).update(
        status=ending.status,
        stage=stage,
        done_at=Now(),
        lease_until=None,
        error=error,
        not_applied=list(ending.not_applied),
        candidates=list(ending.candidates),
        effect=ending.effect,
        remote_id=operation.remote_id,
        record_id=operation.record_id,
    )
    emit(
        _EVENTS[ending.status],
        data={
            "operation": ids.show(Operation.PREFIX, operation.pk),
            "entity": operation.entity,
            "kind": operation.kind,
            "action": operation.action or None,
            "record": ids.show(prefix, operation.record_id),
            "not_applied": [item["pointer"] for item in ending.not_applied],
            "error": error,
        },
        **cause,
    )
    hint_next(operation.record_id, operation.pk)


def _stored(error: LineshaftError) -> dict[str, Any]:
    """The error as it is kept, with the pointer of each wrong value where there are some."""
    kept = error_json(error)
    return {**kept, "errors": [asdict(found) for found in error.errors]} if error.errors else kept


def hint_next(record_id: UUID | None, but: UUID) -> None:
    """Tell a worker of the next operation that waits for its turn at the same record."""
    if record_id is None:
        return
    following = Operation.objects.filter(record_id=record_id, status=OperationStatus.QUEUED).exclude(pk=but)
    first = following.order_by("created_at", "id").values_list("pk", flat=True).first()
    if first is not None:
        Operation.objects.filter(pk=first, status=OperationStatus.QUEUED).update(due_at=Now(), hinted_at=Now())
        hints.hint(TASK, first, queue=QUEUE)


def has_earlier(operation: Operation) -> bool:
    """Whether an operation on the same record that came before has not ended: they take turns in order.

    One that is under way there goes on first, though it came later: what failed and is tried again keeps its time.
    """
    if operation.record_id is None:
        return False
    earlier: bool = (
        Operation.objects.filter(record_id=operation.record_id, status__in=UNFINISHED)
        .exclude(pk=operation.pk)
        .filter(
            Q(created_at__lt=operation.created_at)
            | Q(created_at=operation.created_at, pk__lt=operation.pk)
            | Q(stage__in=UNDER_WAY)
            | Q(call_no__gt=0)
        )
        .exists()
    )
    return earlier


def is_settled(error: LineshaftError) -> bool:
    """Whether an error of a sent write says for sure that nothing was done there."""
    if error.category in (Category.TIMEOUT_UNKNOWN, Category.BUG):
        return False
    if isinstance(error, BadAnswerError):
        return False
    # Without a status no request arrived; a server error may have come after the deed.
    return not (isinstance(error, TransientError) and error.source is not None and error.source.status is not None)
