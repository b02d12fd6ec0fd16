"""Bindings: which connection each name in a definition means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from connections.choices import ConnectionStatus
from connections.models import Connection
from core import ids
from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from flows.definitions.model import Definition
from flows.models import Flow

__all__ = ["bindable", "check_bindings", "kept_bindings", "refuse_unbound"]

Bindings = Mapping[str, Any]


def bindable(definition: Definition) -> list[str]:
    """Names that take a connection; the others are the connection of the event that starts a run."""
    return [name for name, slot in definition.connections.items() if not slot.of_trigger]


def kept_bindings(definition: Definition, bindings: Bindings) -> dict[str, str]:
    """Those whose name is still in the definition."""
    return {name: bindings[name] for name in bindable(definition) if name in bindings}


def check_bindings(flow: Flow, definition: Definition, bindings: Bindings) -> None:
    """Refuse what could never be bound: names the definition has not, connections of other workspaces, environments or
    systems. Some may be missing. Errors: ValidationFailedError with pointers /bindings/NAME."""
    _refuse([*_strange_names(definition, bindings), *_wrong_connections(flow, definition, bindings)])


def refuse_unbound(flow: Flow, definition: Definition) -> None:
    """Refuse a flow that cannot run: every name needs a connection, and one that was not ended.

    Errors: ValidationFailedError with pointers /bindings/NAME.
    """
    missing = [
        _error(name, "NOT_BOUND", f"Choose the connection that {name!r} stands for.")
        for name in bindable(definition)
        if not flow.bindings.get(name)
    ]
    bound = kept_bindings(definition, flow.bindings)
    _refuse([*missing, *_wrong_connections(flow, definition, bound, is_ended_wrong=True)])


def _strange_names(definition: Definition, bindings: Bindings) -> Iterator[FieldError]:
    known = bindable(definition)
    for name in bindings:
        if name not in known:
            told = f"The definition has no connection to bind under this name; it has {', '.join(known) or 'none'}."
            yield _error(name, "UNKNOWN_NAME", told)


def _wrong_connections(
    flow: Flow, definition: Definition, bindings: Bindings, *, is_ended_wrong: bool = False
) -> Iterator[FieldError]:
    found = _connections(flow, bindings)
    for name in bindable(definition):
        if not bindings.get(name):
            continue
        row, system = found.get(_id_of(bindings[name])), definition.connections[name].system
        if row is None:
            yield _error(name, "UNKNOWN_CONNECTION", "There is no such connection.")
        elif system is not None and row.system != system:
            yield _error(name, "WRONG_SYSTEM", f"It stands for a connection of {system}; this one is of {row.system}.")
        elif is_ended_wrong and row.health == ConnectionStatus.DISCONNECTED:
            yield _error(name, "CONNECTION_DISCONNECTED", "This connection was ended; choose another or reconnect it.")


def _connections(flow: Flow, bindings: Bindings) -> dict[UUID | None, Connection]:
    """Those of the flow's workspace and environment."""
    wanted = {_id_of(value) for value in bindings.values()} - {None}
    rows = Connection.objects.kept().filter(workspace_id=flow.workspace_id, environment=flow.environment, pk__in=wanted)
    return {row.pk: row for row in rows.only("id", "system", "health")}


def _id_of(value: Any) -> UUID | None:
    return ids.read(Connection.PREFIX, value) if isinstance(value, str) else None


def _error(name: str, code: str, detail: str) -> FieldError:
    return FieldError("/bindings" + pointer(str(name)[:100]), code, detail)


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        first = errors[0]
        raise ValidationFailedError(f"{first.pointer}: {first.detail}", errors=tuple(errors[:50]))
