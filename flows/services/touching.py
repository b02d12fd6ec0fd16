"""Which connections a run works on, and of which it may hold data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connections.choices import ConnectionStatus
from connections.models import Connection
from core import ids
from core.errors import ConflictError
from flows.definitions.model import Definition
from flows.engine.errors import DISCONNECTED
from flows.models import FlowVersion

__all__ = ["Facts", "are_there", "bound_ids", "event_connection_id", "facts_of", "refuse_ended", "touched_ids"]


@dataclass(frozen=True)
class Facts:
    """What is to be known of a connection before something is started for it."""

    system: str
    is_ended: bool


def bound_ids(version: FlowVersion) -> set[UUID]:
    """Connections that a version works on, whatever starts it."""
    return {found for shown in version.bindings.values() if (found := ids.read(Connection.PREFIX, str(shown)))}


def event_connection_id(input: Mapping[str, Any]) -> UUID | None:
    """The connection of the event that started a run with this input."""
    event = input.get("event")
    shown = event.get("connection") if isinstance(event, dict) else None
    return ids.read(Connection.PREFIX, shown) if isinstance(shown, str) else None


def touched_ids(version: FlowVersion, definition: Definition, input: Mapping[str, Any]) -> set[UUID]:
    """Connections that a run works on. Of others it may hold data that came with its input."""
    takes_it = any(slot.of_trigger for slot in definition.connections.values())
    found = event_connection_id(input) if takes_it else None
    return bound_ids(version) | ({found} if found else set())


def facts_of(connection_ids: Iterable[UUID]) -> dict[UUID, Facts]:
    """Of those that are here, in the workspace's scope. One that was deleted is not, though its data may go later."""
    rows = Connection.objects.filter(pk__in=set(connection_ids), purge_requested_at=None)
    return {
        pk: Facts(system, health == ConnectionStatus.DISCONNECTED)
        for pk, system, health in rows.values_list("pk", "system", "health")
    }


def are_there(connection_ids: Iterable[UUID]) -> bool:
    """Whether none of them was ended or deleted."""
    wanted = set(connection_ids)
    found = facts_of(wanted) if wanted else {}
    return all(one in found and not found[one].is_ended for one in wanted)


def refuse_ended(connection_ids: Iterable[UUID]) -> None:
    """Errors: ConflictError CONNECTION_DISCONNECTED when one of them was ended or deleted."""
    if not are_there(connection_ids):
        raise ConflictError(
            "A connection of this flow was ended. Reconnect it, or bind the flow to another one and publish it.",
            code=DISCONNECTED,
        )
