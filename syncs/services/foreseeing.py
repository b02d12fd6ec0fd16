"""What a write would do, told from the copy alone: no system is asked, and nothing is stored.

The wish is judged as a real one is. What only the system knows is named, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from connections.models import Connection
from connections.services import AskedNothingError, Card, card_of, muted_connector
from core import ids
from core.errors import NotFoundError, ValidationFailedError
from core.json import utc_text
from integrations.sdk.connector import Connector
from integrations.sdk.transforms import MappingError
from syncs.choices import OperationKind
from syncs.models import Operation, Record
from syncs.operations.comparing import diff
from syncs.operations.copying import Copier, Seen, jsonable
from syncs.operations.imagining import imagined_after
from syncs.operations.planning import plan_change
from syncs.packing import body_of, raw_of
from syncs.services.writes import Wish, checked_operation

_TIMES = ("remote_created_at", "remote_updated_at", "changed_at", "deleted_at", "version")
WHOLE = ""
"""The pointer of what stands for the whole write."""


@dataclass(frozen=True)
class Foreseen:
    """`record`: as the API would show it afterwards; None when it would be gone. `diff` as of an operation.

    `not_resolved`: pointers of references that are not in the copy, and "" when the connector must ask the system before
    it can say what it would send.
    """

    diff: list[dict[str, Any]]
    record: dict[str, Any] | None
    not_resolved: list[str]


def foresee(connection: Connection, wish: Wish, *, imagined: Mapping[str, Any] | None = None) -> Foreseen:
    """The field-by-field diff against the copy, and the record that would come of it.

    `imagined` is the record that an earlier write of the same trial would have made, where the wish is about that.
    Errors: as `request_operation`; ValidationFailedError for a value that cannot be said to the system.
    """
    operation = checked_operation(connection, wish, imagined=imagined)
    operation.values = _as_stored(operation.values)
    card = card_of(connection, wish.entity)
    if imagined is not None:
        unified: Mapping[str, Any] | None = imagined
        trial = _Trial(_differences(operation, card, imagined), _effect(operation, card, imagined), is_whole=False)
    else:
        with muted_connector(connection) as connector:
            before = _seen(connection, card, connector, operation)
            unified = jsonable(before.unified) if before is not None else None
            trial = _planned(operation, card, connector, before)
    unsaid = [] if trial.is_whole else [WHOLE]
    if trial.effect == "hard":
        return Foreseen(trial.diff, None, unsaid)
    after = imagined_after(operation, card, unified)
    record = _shown(operation, card, imagined) | after.unified
    return Foreseen(trial.diff, record, [*after.not_resolved, *unsaid])


def _as_stored(value: Any) -> Any:
    """Members in the order in which the database gives them back, so that a diff names them in the order of a real one."""
    if isinstance(value, dict):
        return {name: _as_stored(value[name]) for name in sorted(value, key=lambda name: (len(name.encode()), name))}
    return [_as_stored(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class _Trial:
    """What the connector says to the wish. `is_whole` False: it could not say what it would send."""

    diff: list[dict[str, Any]]
    effect: str
    is_whole: bool = True


def _seen(connection: Connection, card: Card, connector: Connector, operation: Operation) -> Seen | None:
    """The object as it was copied last; None of a create."""
    if operation.kind == OperationKind.CREATE:
        return None
    record = Record.objects.filter(pk=operation.record_id or operation.pk, connection=connection).first()
    if record is None:
        raise NotFoundError(f"The {card.noun} is no longer in the copy.")
    try:
        return Copier(connection, card.resource, connector).seen(record.remote_id, raw_of(record).encode())
    except MappingError as error:
        raise ValidationFailedError(f"The object cannot be mapped as it is now: {error}") from error


def _planned(operation: Operation, card: Card, connector: Connector, before: Seen | None) -> _Trial:
    try:
        planned = plan_change(operation, card, connector, before)
    except AskedNothingError:
        unified = jsonable(before.unified) if before is not None else None
        return _Trial(_differences(operation, card, unified), _effect(operation, card, unified), is_whole=False)
    return _Trial(planned.diff, planned.effect)


def _differences(operation: Operation, card: Card, unified: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if operation.kind not in (OperationKind.CREATE, OperationKind.UPDATE):
        return []
    return diff(card.spec.by_name, operation.values, unified)


def _effect(operation: Operation, card: Card, unified: Mapping[str, Any] | None) -> str:
    status = (unified or {}).get("remote_status")
    declared = card.write("delete", status) if operation.kind == OperationKind.DELETE else None
    return (declared.kind or "hard") if declared is not None else ""


def _shown(operation: Operation, card: Card, imagined: Mapping[str, Any] | None) -> dict[str, Any]:
    """The record as it is now; of a create what surrounds its fields, under an id that stands for the real one."""
    if imagined is not None:
        return dict(imagined)
    if operation.record_id is not None:
        record = Record.objects.get(pk=operation.record_id, connection_id=operation.connection_id)
        row = {"changed_at": utc_text(record.changed_at), "deleted_at": None, "version": record.version}
        return {**orjson.loads(body_of(record)), **row}
    head = {
        "id": ids.show(card.spec.id_prefix, operation.pk),
        "connection_id": ids.show(Connection.PREFIX, operation.connection_id),
        "entity": operation.entity,
        "remote_id": None,
    }
    fields = {spec.name: spec.empty for spec in card.spec.fields}
    return head | fields | dict.fromkeys(("custom", *_TIMES))
