"""Steps that write: through operations, so that nothing is done twice and every outcome is found out.

The operation and the row that names it are stored in one transaction, under the run's lease; its key is that of the
attempt. Whatever became of it is asked of the operation from then on: a step never asks for a second one while the first
may have been done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from connections.models import Connection
from core import ids
from core.errors import ValidationFailedError
from flows.choices import WaitsFor
from flows.definitions.model import ActOnRecord, CreateRecord, DeleteRecord, UpdateRecord
from flows.engine.handlers.imagined import planned_records, without_planned
from flows.engine.handlers.records import demand_copy, read_live, record_pk
from flows.engine.turn import Done, Later, OutcomeLostError, Turn
from flows.models import FlowRun
from syncs.bodies import operation_body
from syncs.choices import OperationKind, OperationStatus
from syncs.models import Operation
from syncs.operations.errors import error_from
from syncs.records import Selection
from syncs.services.foreseeing import foresee
from syncs.services.writes import Wish, request_operation, wait_for

WAIT_SECONDS = 1.0
"""So long a worker waits for an operation that it asked for."""
LOOK_SECONDS, REVIEW_LOOK_SECONDS = 60, 600
MAX_KEY_CHARACTERS = 255
_KINDS: Mapping[type, OperationKind] = {
    CreateRecord: OperationKind.CREATE,
    UpdateRecord: OperationKind.UPDATE,
    DeleteRecord: OperationKind.DELETE,
    ActOnRecord: OperationKind.ACTION,
}


def write(turn: Turn) -> Done | Later:
    """Create, change, delete or act on a record. Output: {operation, status, record, diff, not_applied}.

    In a dry run: what it would change, told from the copy; `operation` is null, `status` planned, and `not_resolved` names
    what only the system could tell.
    """
    if turn.is_dry:
        return Done(_planned(turn))
    operation_id = turn.row.operation_id or _requested(turn)
    if not Operation.objects.filter(pk=operation_id).exists():
        raise OutcomeLostError("The write's operation is gone: whether it was done must be looked up in the system.")
    turn.lease.renew()
    return _told(wait_for(operation_id, WAIT_SECONDS))


def _requested(turn: Turn) -> UUID:
    """The operation of this attempt; the one there is when it was asked for before. Errors: as `request_operation`."""
    connection = turn.connection(turn.step.connection)
    demand_copy(connection, turn.step.entity)
    wish = _wish(turn, turn.values.get("body") or {})
    with transaction.atomic():
        turn.lease.lock()
        operation = request_operation(connection, wish).operation
        turn.begin(operation_id=operation.pk)
    return operation.pk


def _wish(turn: Turn, body: Mapping[str, Any]) -> Wish:
    step, shown_run = turn.step, ids.show(FlowRun.PREFIX, turn.run.pk)
    is_new = isinstance(step, CreateRecord)
    return Wish(
        entity=step.entity,
        kind=_KINDS[type(step)],
        body=body,
        record_id=None if is_new else record_pk(step.entity, turn.values.get("id")),
        action=step.action if isinstance(step, ActOnRecord) else "",
        expected_version=_version(turn.values.get("if_version")),
        key=None if turn.is_dry else key_of(f"{shown_run}", turn.row.path, turn.row.retry),
        by=f"flow run {shown_run}",
        origin="flow",
    )


def key_of(shown_run: str, path: str, retry: int) -> str:
    """The key of one attempt's operation: the same whoever does it, another one for the next attempt."""
    key = f"flow:{shown_run}:{path}:{retry}"
    if len(key) <= MAX_KEY_CHARACTERS:
        return key
    return f"flow:{shown_run}:#{blake2b(path.encode(), digest_size=32).hexdigest()}:{retry}"


def _version(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationFailedError(
            "`if_version` must be the version of a record, a whole number.", code="INVALID_VERSION"
        )
    return value


def _told(operation: Operation) -> Done | Later:
    """What the operation's standing means for the step. Errors: that of an operation that failed."""
    if operation.status == OperationStatus.FAILED:
        raise error_from(operation.error or {})
    if operation.status == OperationStatus.SUCCEEDED:
        return Done(_output(operation))
    seconds = REVIEW_LOOK_SECONDS if operation.status == OperationStatus.NEEDS_REVIEW else LOOK_SECONDS
    return Later(WaitsFor.OPERATION, until=timezone.now() + timedelta(seconds=seconds), operation_id=operation.pk)


def _output(operation: Operation) -> dict[str, Any]:
    shown = operation_body(operation)
    return {
        "operation": shown["id"],
        "status": operation.status,
        "record": _record(operation),
        "diff": shown["diff"],
        "not_applied": shown["not_applied"],
    }


def _record(operation: Operation) -> Mapping[str, Any] | None:
    """As the copy has it now; None for one that is not copied, or gone."""
    if operation.record_id is None:
        return None
    selection = Selection(ids=[operation.record_id], if_shared=True)
    found = read_live(operation.connection, operation.entity, selection, limit=1)
    return found[0] if found else None


# --- dry --------------------------------------------------------------------------------------------------------------


def _planned(turn: Turn) -> dict[str, Any]:
    connection: Connection = turn.connection(turn.step.connection)
    demand_copy(connection, turn.step.entity)
    planned = planned_records(turn.context)
    body = without_planned(turn.values.get("body") or {}, planned)
    foreseen = foresee(connection, _wish(turn, body), imagined=planned.get(str(turn.values.get("id"))))
    return {
        "operation": None,
        "status": "planned",
        "record": foreseen.record,
        "diff": foreseen.diff,
        "not_applied": [],
        "not_resolved": foreseen.not_resolved,
    }
