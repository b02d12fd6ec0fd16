"""What people do to operations: try again what failed, decide what only a person can, read one record again now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from connections.models import Connection
from connections.services import card_of, demand_shared, record_success, record_trouble
from core import hints, ids
from core.errors import (
    AuthError,
    BusinessRuleError,
    ConflictError,
    FieldError,
    LineshaftError,
    NotFoundError,
    TransientError,
    ValidationFailedError,
)
from integrations.entities import ENTITIES
from integrations.sdk.transforms import MappingError
from syncs.choices import OperationKind, OperationStatus, Stage
from syncs.engine import store
from syncs.engine.outcomes import now
from syncs.models import Operation, Record
from syncs.operations import copying, outcomes
from syncs.operations.copying import Copier, Seen
from syncs.operations.outcomes import QUEUE, TASK, Ending
from syncs.services.calling import calls_to, refuse_if_away
from workspaces import audit

REVIEWABLE = (OperationStatus.NEEDS_REVIEW, OperationStatus.UNKNOWN)


def retry_operation(operation: Operation, *, by: str) -> Operation:
    """Try a failed operation again, from its start: it is judged by what the object is now. Its key stays its own.

    Errors: ConflictError for one that has not failed; one whose outcome is not known must be resolved first.
    """
    with transaction.atomic():
        found = _lock(operation)
        if found.status != OperationStatus.FAILED:
            hint = " Resolve it first." if found.status in REVIEWABLE else ""
            raise ConflictError(
                f"Only what failed can be tried again; this operation is {found.status}.{hint}", code="NOT_RETRYABLE"
            )
        begun = found.kind == OperationKind.CREATE and found.call_no > 0
        fresh = {} if begun else {"calls": [], "call_no": 0, "before": None, "diff": []}
        Operation.objects.filter(pk=found.pk).update(
            status=OperationStatus.QUEUED,
            stage=Stage.PLANNED,
            due_at=now(),
            hinted_at=now(),
            give_up_at=now() + timedelta(seconds=settings.OPERATION_SEND_SECONDS),
            claims_without_progress=0,
            troubles=0,
            lookups=0,
            attempts=0,
            first_sent_at=None,  # `sent_at` stays: pages asked for before now must still see it
            mark="",
            effect="",
            done_at=None,
            error=None,
            job=None,
            job_deadline_at=None,
            not_applied=[],
            resolved_by=by[:160],
            resolved_at=Now(),
            **fresh,
        )
        _record("operation.retried", found)
        hints.hint(TASK, found.pk, queue=QUEUE)
    operation.refresh_from_db()
    return operation


def look_again(operation: Operation) -> Operation:
    """Look an unknown outcome up now, or once more after it was given to a person."""
    with _mark_is_free(), transaction.atomic():
        found = _lock(operation)
        if found.status not in (*REVIEWABLE, OperationStatus.AWAITING_SOURCE) or found.stage == Stage.ENDED:
            raise ConflictError(f"There is nothing to look up: this operation is {found.status}.", code="NOT_UNKNOWN")
        status = OperationStatus.UNKNOWN if found.status == OperationStatus.NEEDS_REVIEW else found.status
        Operation.objects.filter(pk=found.pk).update(
            status=status, due_at=now(), hinted_at=now(), claims_without_progress=0, done_at=None
        )
        _record("operation.looked_up", found)
        hints.hint(TASK, found.pk, queue=QUEUE)
    operation.refresh_from_db()
    return operation


@contextmanager
def _mark_is_free() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(
            "Another create with the same mark is under way; let it end first.", code="MARK_IN_USE"
        ) from error


def resolve_operation(operation: Operation, *, done: bool, remote_id: str = "", by: str) -> Operation:
    """A person says how an operation ended whose outcome is not known.

    `done` with the object's `remote_id` (of a create): it is read, and becomes the outcome. Not done: the operation has
    failed, and may be tried again.
    Errors: ConflictError for one that is decided; ValidationFailedError without a needed remote id, or when the system has
    no such object; those of reading it.
    """
    if operation.status not in REVIEWABLE:
        raise ConflictError(f"There is nothing to resolve: this operation is {operation.status}.", code="NOT_UNKNOWN")
    seen, gone = None, False
    if done:
        remote_id = remote_id or operation.remote_id
        if not remote_id:
            _refuse_id("Say which object it made: its id in the system.")
        if operation.kind != OperationKind.CREATE and remote_id != operation.remote_id:
            _refuse_id("It was about another object; only of a create is there one to name.")
        seen, gone = _read_for(operation, remote_id)
    error = None if done else BusinessRuleError("A person found that it was not done.", code="NOT_DONE")
    status = OperationStatus.SUCCEEDED if done else OperationStatus.FAILED
    prefix = ENTITIES[operation.entity].describes.id_prefix
    cause = copying.cause_of(operation, operation.connection.environment)
    if seen is not None:
        copying.pack(seen, operation.connection_id, operation.entity)
        store.make_staging()
    with transaction.atomic():
        if seen is not None:
            copying.stage(seen)
        found = _lock(operation)
        if found.status not in REVIEWABLE:
            raise ConflictError(f"It was decided meanwhile: {found.status}.", code="NOT_UNKNOWN")
        if done:
            found.remote_id = remote_id
            found.record_id = copying.record_id_of(found.connection_id, found.entity, remote_id)
        # A worker that still holds it has lost it.
        Operation.objects.filter(pk=found.pk).update(fence=found.fence + 1, resolved_by=by[:160], resolved_at=Now())
        ending = Ending(status, error, seen=seen, gone=gone, effect=found.effect)
        outcomes.write_copy(found, ending, prefix, cause)
        _record("operation.resolved", found, outcome="done" if done else "not_done")
        outcomes.settle(found, ending, prefix=prefix, cause=cause)
    operation.refresh_from_db()
    return operation


def _read_for(operation: Operation, remote_id: str) -> tuple[Seen | None, bool]:
    """The object as it is now; (None, True) when it is gone, as after a delete."""
    card = card_of(operation.connection, operation.entity)
    with calls_to(operation.connection) as (connector, take):
        take()
        try:
            return Copier(operation.connection, card.resource, connector).read(remote_id), False
        except NotFoundError:
            if operation.kind == OperationKind.CREATE:
                _refuse_id(f"The system has no object {remote_id[:60]!r}.")
            return None, True


def _refuse_id(detail: str) -> None:
    raise ValidationFailedError(detail, errors=(FieldError("/remote_id", "INVALID_VALUE", detail),))


def _record(action: str, operation: Operation, **details: str) -> None:
    """What a person decided. Which object it is about stands on the operation, whose ids may be a customer's."""
    audit.record(
        action,
        workspace_id=operation.workspace_id,
        about=("operation", ids.show(Operation.PREFIX, operation.pk) or ""),
        details={
            "connection": ids.show("con", operation.connection_id),
            "entity": operation.entity,
            "kind": str(operation.kind),
            **details,
        },
    )


def _lock(operation: Operation) -> Operation:
    found: Operation = (
        Operation.objects.select_for_update(of=("self",), no_key=True).select_related("connection").get(pk=operation.pk)
    )
    return found


@dataclass(frozen=True)
class Refreshed:
    """What reading a record again found."""

    record_id: UUID
    is_gone: bool


def refresh_record(connection: Connection, entity: str, record_id: UUID) -> Refreshed:
    """Read one record again now, and write what differs into the copy, with its event.

    Errors: NotFoundError for a record that is not copied; NotSupportedError where the system cannot read one; those of
    reading. An object that is gone leaves a tombstone.
    """
    record = Record.objects.filter(pk=record_id, connection=connection, entity=entity).first()
    if record is None:
        raise NotFoundError(f"There is no such {ENTITIES[entity].describes.title.lower()} in this connection.")
    demand_shared(connection, entity)
    refuse_if_away(connection)
    card = card_of(connection, entity)
    seen: Seen | None = None
    begun = now()
    try:
        with calls_to(connection) as (connector, take):
            take()
            seen = Copier(connection, card.resource, connector).read(record.remote_id)
    except NotFoundError:
        seen = None
    except MappingError as error:
        raise ValidationFailedError(
            f"The object cannot be mapped as it is now: {error}", code="MAPPING_FAILED"
        ) from error
    except LineshaftError as error:
        if isinstance(error, (TransientError, AuthError)):
            record_trouble(connection.pk, connection.workspace_id, error)
        raise
    record_success(connection.pk, connection.workspace_id)
    _store(connection, entity, record, seen, card.spec.id_prefix, begun=begun)
    return Refreshed(record.pk, is_gone=seen is None)


def _store(
    connection: Connection, entity: str, record: Record, seen: Seen | None, prefix: str, *, begun: object
) -> None:
    """Into the copy, unless a write of our own was under way while it was read: its end reads it again."""
    cause = {
        "workspace_id": connection.workspace_id,
        "environment": connection.environment,
        "connection_id": connection.pk,
        "reason": "refresh",
    }
    if seen is not None:
        copying.pack(seen, connection.pk, entity)
        store.make_staging()
    with transaction.atomic():
        if seen is not None:
            copying.stage(seen)
        scope = copying.lock_sync(connection, entity)
        if Operation.objects.filter(record_id=record.pk).overlapping(begun).exists():
            return
        if not Connection.objects.present().filter(pk=connection.pk).exists():
            return  # disconnected meanwhile: a purge that begins now waits for the sync's row, which is ours
        if seen is not None:
            copying.write(scope, seen, prefix, cause)
        else:
            copying.bury(scope, record.pk, prefix, cause)
