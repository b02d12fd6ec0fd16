"""Operations wanted: checked against what is known here, stored, and handed to a worker. The API, the admin and commands
come through here alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db import connection as database

from connections.models import Connection
from connections.services import Card, card_of, validate_body
from core import hints, ids
from core.errors import (
    ConflictError,
    FieldError,
    NotFoundError,
    ValidationFailedError,
)
from core.ids import new_id
from core.json import pointer
from integrations.entities import ENTITIES
from integrations.entities.spec import FieldSpec
from integrations.sdk.transforms import MappingError
from syncs.choices import OperationKind
from syncs.engine.outcomes import now
from syncs.models import Operation, Record
from syncs.operations.copying import Copier, Seen
from syncs.operations.errors import KeyReusedError, VersionConflictError
from syncs.operations.outcomes import QUEUE, TASK
from syncs.operations.planning import Planned, plan_change, refuse_denied, refuse_operation
from syncs.packing import body_of
from syncs.services.calling import calls_to, refuse_if_away

SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS, GAP_SHARE = 0.02, 0.1, 0.1


@dataclass(frozen=True)
class Wish:
    """What a caller wants done. `record_id` is None for a create; `body` holds the fields, or an action's parameters.

    `expected_version`: from If-Match. `key`: the Idempotency-Key.
    """

    entity: str
    kind: OperationKind
    body: Mapping[str, Any] = field(default_factory=dict)
    record_id: UUID | None = None
    action: str = ""
    expected_version: int | None = None
    key: str | None = None
    by: str = ""
    origin: str = "api"
    batch_id: UUID | None = None

    @property
    def digest(self) -> str:
        """Two requests with the same key must agree in this."""
        told = [self.entity, self.kind, self.action, str(self.record_id), self.body, self.expected_version]
        return blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=32).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """The operation that answers a wish. `is_new` False: the key named it already."""

    operation: Operation
    is_new: bool


def request_operation(connection: Connection, wish: Wish) -> Wanted:
    """Check the wish by all that is known here, store it, and tell a worker after commit. No call leaves from here.

    A key that is known answers its operation as it stands now, whatever became of the record meanwhile.
    Errors: KeyReusedError; AuthError, ConflictError for the connection; NotFoundError, VersionConflictError for the
    record; BusinessRuleError, PermissionDeniedError, NotSupportedError naming the reason; ValidationFailedError.
    """
    if wish.key and (known := _by_key(connection, wish)) is not None:
        return known
    operation = checked_operation(connection, wish)
    try:
        with transaction.atomic():
            at = _turn(operation.record_id)
            operation.created_at = operation.due_at = operation.hinted_at = at
            operation.give_up_at = at + timedelta(seconds=settings.OPERATION_SEND_SECONDS)
            operation.save(force_insert=True)
            hints.hint(TASK, operation.pk, queue=QUEUE)
    except IntegrityError as error:
        if wish.key and (known := _by_key(connection, wish)) is not None:
            return known
        raise ConflictError("An operation with the same mark is under way.", code="MARK_IN_USE") from error
    return Wanted(operation, is_new=True)


# The lock is taken before the clock is read: of two on one record the later time is committed later.
_TURN = """WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)))
SELECT clock_timestamp() FROM turn"""


def _turn(record_id: UUID | None) -> datetime:
    """The time of a new operation. Those on one record get theirs one after the other and are seen in that order by
    everybody, so that none is passed by another whose row was there first. Held until the transaction ends."""
    if record_id is None:
        return now()
    with database.cursor() as cursor:
        cursor.execute(_TURN, [str(record_id)])
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


def _by_key(connection: Connection, wish: Wish) -> Wanted | None:
    found = Operation.objects.filter(connection=connection, idempotency_key=wish.key).first()
    if found is None:
        return None
    if found.request_digest != wish.digest:
        raise KeyReusedError("This Idempotency-Key was used for another request of this connection; use a new one.")
    return Wanted(found, is_new=False)


def checked_operation(connection: Connection, wish: Wish, *, imagined: Mapping[str, Any] | None = None) -> Operation:
    """The operation, not stored yet, if nothing known here speaks against it. Errors: as `request_operation`.

    `imagined` is the unified form of an object that an earlier write of the same trial would have made.
    """
    refuse_if_away(connection)
    card = card_of(connection, wish.entity)
    record = _record(connection, wish) if imagined is None else None
    status = _status_of(record) if imagined is None else imagined.get("remote_status")
    operation = Operation(
        id=new_id(),
        workspace_id=connection.workspace_id,
        connection=connection,
        entity=wish.entity,
        kind=wish.kind,
        action=wish.action,
        record_id=record.pk if record else None,
        remote_id=record.remote_id if record else "",
        request=dict(wish.body),
        values=dict(wish.body),
        expected_version=wish.expected_version,
        idempotency_key=wish.key,
        request_digest=wish.digest,
        requested_by=wish.by[:160],
        origin=wish.origin,
        batch_id=wish.batch_id,
    )
    # Whether it can be done at all, then the shape, whatever the status; then what this status forbids is told as the
    # rule it is.
    refuse_operation(operation, card, None)
    validate_body(card, wish.kind, wish.body, action=wish.action)
    refuse_denied(operation, card, status)
    if record is not None and wish.expected_version not in (None, record.version):
        raise VersionConflictError(f"The record is at version {record.version} now; read it again.")
    operation.values = _with_remote_ids(connection, card, wish)
    return operation


def _record(connection: Connection, wish: Wish) -> Record | None:
    if wish.kind == OperationKind.CREATE:
        return None
    found = Record.objects.filter(
        pk=wish.record_id or new_id(), connection=connection, entity=wish.entity, deleted_at=None
    ).first()
    if found is None:
        raise NotFoundError(f"There is no such {ENTITIES[wish.entity].describes.title.lower()} in this connection.")
    return found


def _status_of(record: Record | None) -> str | None:
    if record is None:
        return None
    found = orjson.loads(body_of(record)).get("remote_status")
    return None if found is None else str(found)


# --- references -------------------------------------------------------------------------------------------------------


def _with_remote_ids(connection: Connection, card: Card, wish: Wish) -> dict[str, Any]:
    """The body with references as the system's ids. Errors: ValidationFailedError for an id of ours that is not copied."""
    if wish.kind == OperationKind.ACTION:
        action = card.resource.action(wish.action)
        targets = {found.name: found.target for found in action.parameters if found.target} if action else {}
        references = _Resolver(connection)
        resolved = {
            name: references.remote_id(value, targets[name], (name,)) if name in targets else value
            for name, value in wish.body.items()
        }
    else:
        references = _Resolver(connection)
        resolved = references.values(card.spec.by_name, wish.body, ())
    if references.errors:
        raise ValidationFailedError("Some references name nothing that is known here.", errors=tuple(references.errors))
    return resolved


class _Resolver:
    """Our ids to the system's. Anything that is no id of ours is taken for the system's own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.errors: list[FieldError] = []

    def values(
        self, specs: Mapping[str, FieldSpec], body: Mapping[str, Any], at: tuple[str | int, ...]
    ) -> dict[str, Any]:
        return {name: self._value(specs.get(name), value, (*at, name)) for name, value in body.items()}

    def _value(self, spec: FieldSpec | None, value: Any, at: tuple[str | int, ...]) -> Any:
        if spec is None or value is None:
            return value
        if spec.kind == "reference":
            return self.remote_id(value, spec.target or "", at)
        inner = {found.name: found for found in spec.item}
        if spec.kind == "list":
            return [self.values(inner, item, (*at, place)) for place, item in enumerate(value)]
        return self.values(inner, value, at) if spec.kind == "object" else value

    def remote_id(self, value: Any, target: str, at: tuple[str | int, ...]) -> str | None:
        if value is None:
            return None
        if isinstance(value, Mapping):
            if value.get("remote_id"):
                return str(value["remote_id"])
            value = value.get("id")
        text = str(value)
        pk = ids.read(ENTITIES[target].describes.id_prefix, text) if target in ENTITIES else None
        if pk is None:
            return text
        known = Record.objects.filter(pk=pk, connection=self.connection, entity=target)
        remote_id: str | None = known.values_list("remote_id", flat=True).first()
        if remote_id is None:
            detail = f"There is no such {target.replace('_', ' ')} in this connection."
            self.errors.append(FieldError(pointer(*at), "REFERENCE_NOT_FOUND", detail))
        return remote_id


# --- dry run, reading again -------------------------------------------------------------------------------------------


def dry_run(connection: Connection, wish: Wish) -> Planned:
    """The exact requests and the field-by-field diff. Reads the object as it is now; writes nothing, here or there.

    Errors: as `request_operation`, and those of reading.
    """
    operation = checked_operation(connection, wish)
    card = card_of(connection, wish.entity)
    with calls_to(connection) as (connector, take):
        copier = Copier(connection, card.resource, connector)
        before: Seen | None = None
        if operation.remote_id:
            take()
            try:
                before = copier.read(operation.remote_id)
            except MappingError as error:
                raise ValidationFailedError(f"The object cannot be mapped as it is now: {error}") from error
        return plan_change(operation, card, connector, before)


# --- waiting ----------------------------------------------------------------------------------------------------------


def wait_for(operation_id: UUID, seconds: float, *, pause: Callable[[float], object] = time.sleep) -> Operation:
    """The operation once it has ended, or as it stands after so many seconds. Holds no transaction and no lock.

    `pause` sleeps between two looks: a tenth of the time waited so far, so that little is added to what the system takes.
    """
    begun = time.monotonic()
    ended = ("succeeded", "failed", "needs_review")
    while Operation.objects.filter(pk=operation_id).values_list("status", flat=True).get() not in ended:
        waited = time.monotonic() - begun
        if waited >= seconds:
            break
        gap = min(max(waited * GAP_SHARE, SHORTEST_GAP_SECONDS), LONGEST_GAP_SECONDS)
        pause(min(gap, seconds - waited))
    found: Operation = Operation.objects.select_related("connection").get(pk=operation_id)
    return found
