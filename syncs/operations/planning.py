"""From a wish to the exact requests: judged by what the object is now. Sends nothing; a dry run ends here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connections.services import Card, Denial
from core.errors import BusinessRuleError, FieldError, LineshaftError, NotSupportedError, PermissionDeniedError
from core.json import pointer
from integrations.sdk.connector import Connector
from integrations.sdk.unmapping import compile_unmapping
from integrations.sdk.writes import Change, WriteCall
from syncs.choices import OperationKind
from syncs.models import Operation, Record
from syncs.operations.comparing import diff
from syncs.operations.copying import Seen, jsonable
from syncs.operations.errors import VersionConflictError


@dataclass(frozen=True)
class Planned:
    """What will be sent, and what it would change. `calls` empty: everything wished is there already."""

    calls: list[WriteCall]
    diff: list[dict[str, Any]]
    before: dict[str, Any] | None
    effect: str = ""
    mark: str = ""


def plan_change(operation: Operation, card: Card, connector: Connector, before: Seen | None) -> Planned:
    """Plan against the object as it was just read.

    Errors: BusinessRuleError or PermissionDeniedError naming field, status and reason; ConflictError VERSION_CONFLICT
    when the copy that the caller saw is no longer what is there; those of the connector's `plan`.
    """
    status = before.status if before is not None else None
    refuse_denied(operation, card, status)
    if operation.expected_version is not None and before is not None:
        _refuse_changed(operation, before)
    unified = jsonable(before.unified) if before is not None else None
    changes = diff(card.spec.by_name, operation.values, unified) if operation.kind in _WITH_VALUES else []
    effect = ""
    if operation.kind == OperationKind.DELETE:
        declared = card.write("delete", status)
        effect = (declared.kind or "hard") if declared is not None else ""
    if operation.kind == OperationKind.UPDATE and not changes:
        return Planned([], [], unified)
    if operation.kind == OperationKind.ACTION and before is not None and _stands_there(operation, card, status):
        return Planned([], [], unified)
    mark = mark_of(operation, card)
    change = Change(
        operation=operation.kind,  # type: ignore[arg-type]  # the same words
        values=operation.values,
        remote_id=operation.remote_id or None,
        before=before.decoded if before is not None else None,
        mark=mark,
        action=operation.action,
    )
    unmapping = compile_unmapping(card.spec, card.rows, zone=card.zone, encode=connector.encode)
    return Planned(connector.plan(card.resource, change, unmapping), changes, unified, effect, mark)


_WITH_VALUES = (OperationKind.CREATE, OperationKind.UPDATE)


def _stands_there(operation: Operation, card: Card, status: str | None) -> bool:
    """Whether the object is where the action leads to already, and the action changes nothing else."""
    action = card.resource.action(operation.action)
    return action is not None and not action.parameters and status in action.to_status


def mark_of(operation: Operation, card: Card) -> str:
    """The text by which what was made is found again: of the operation, or what the caller wrote into that field."""
    action = card.resource.action(operation.action) if operation.kind == OperationKind.ACTION else None
    if action is not None and action.is_marked:
        return _own_mark(operation)
    declared = card.write("create")
    if operation.kind != OperationKind.CREATE or declared is None or declared.resolve != "mark":
        return ""
    given = operation.values.get(declared.mark_field) if declared.mark_field else None
    return str(given) if given else _own_mark(operation)


def _own_mark(operation: Operation) -> str:
    return f"lsh-{operation.pk.hex[-20:]}"


def refuse_denied(operation: Operation, card: Card, status: str | None) -> None:
    """What declaration, rights, overrides and rules say of the wish, for an object in this status."""
    refuse_operation(operation, card, status)
    kind = operation.kind
    if kind not in _WITH_VALUES:
        return
    errors = [
        (found, FieldError(pointer(*at), _CODES[found.reason], found.detail))
        for name, at in named_fields(operation.values)
        if (found := card.field(kind, name, status)) is not None
    ]
    if errors:
        raise denied(errors[0][0], status=status, errors=tuple(error for _, error in errors))


def refuse_operation(operation: Operation, card: Card, status: str | None) -> None:
    """The same of the operation alone, whatever its fields are."""
    kind = operation.kind
    denial = card.action(operation.action, status) if kind == OperationKind.ACTION else card.operation(kind, status)
    if denial is not None:
        raise denied(denial, status=status)


def named_fields(
    values: Mapping[str, Any], name: str = "", at: tuple[str | int, ...] = ()
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The fields a body names, with where each stands: `notes`, `custom.colour`, `lines`, `lines.quantity` of each line."""
    for key, value in values.items():
        if key in ("id", "_delete") and name:
            continue
        dotted, here = f"{name}{key}", (*at, key)
        if dotted != "custom":
            yield dotted, here
        if isinstance(value, list):
            for place, item in enumerate(value):
                yield from named_fields(item, f"{dotted}.", (*here, place))
        elif isinstance(value, Mapping) and not value.keys() & {"id", "remote_id"}:
            yield from named_fields(value, f"{dotted}.", here)


_CODES = {
    "platform": "FIELD_NOT_WRITABLE",
    "source": "FIELD_NOT_WRITABLE",
    "permission": "PERMISSION_DENIED",
    "status": "REFUSED_BY_STATUS",
    "scope": "SCOPE_MISSING",
    "override": "FORBIDDEN_BY_OPERATOR",
}


def denied(denial: Denial, *, status: str | None, errors: tuple[FieldError, ...] = ()) -> LineshaftError:
    """The error that says what may not be done, and why."""
    extra = {"reason": denial.reason, "status": status}
    if denial.reason == "permission":
        return PermissionDeniedError(denial.detail, errors=errors, extra=extra)
    if denial.reason == "platform" and not errors:
        return NotSupportedError(denial.detail, extra=extra)
    return BusinessRuleError(denial.detail, code=_CODES[denial.reason], errors=errors, extra=extra)


def _refuse_changed(operation: Operation, before: Seen) -> None:
    """If-Match is about the copy the caller saw: it must be that version, and the system must still say the same."""
    stored = Record.objects.filter(
        pk=operation.record_id or operation.pk, connection_id=operation.connection_id
    ).first()
    row = before.prepared.rows[0] if before.prepared.rows else None
    same = (
        stored is not None
        and stored.version == operation.expected_version
        and row is not None
        and bytes(stored.unified_digest) == row.digest
    )
    if not same:
        raise VersionConflictError("It changed in the system meanwhile: read it again, then repeat the change.")
