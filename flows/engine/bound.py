"""The connections a run works with, by their names in the definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from connections.choices import ConnectionStatus
from connections.models import Connection
from core import ids
from core.errors import ConfigError, NotFoundError
from flows.definitions.model import Definition
from flows.engine.errors import disconnected
from flows.models import FlowRun


class Bound:
    """Names to connections of the run's own workspace and environment, read when they are needed."""

    def __init__(self, run: FlowRun, definition: Definition, bindings: Mapping[str, Any]) -> None:
        self.run = run
        self.ids: dict[str, UUID | None] = {
            name: _id_of(_triggering(run.input) if slot.of_trigger else bindings.get(name))
            for name, slot in definition.connections.items()
        }

    def shown(self) -> dict[str, dict[str, Any]]:
        """What expressions see as `connections`. Errors: ConflictError CONNECTION_DISCONNECTED, NotFoundError."""
        wanted = [pk for pk in self.ids.values() if pk is not None]
        if not wanted:
            return {}
        found = {row.pk: row for row in self._rows().filter(pk__in=wanted).only("id", "name", "system", "health")}
        shown = {}
        for name, pk in self.ids.items():
            if pk is not None:
                row = _living(name, found.get(pk))
                shown[name] = {"id": ids.show(Connection.PREFIX, pk), "system": row.system}
        return shown

    def connection(self, name: str) -> Connection:
        """As it is now. Errors: ConfigError FLOW_NOT_BOUND; ConflictError CONNECTION_DISCONNECTED; NotFoundError when it
        was deleted."""
        return _living(name, self._rows().filter(pk=self.id_of(name)).first())

    def id_of(self, name: str) -> UUID:
        """Errors: ConfigError FLOW_NOT_BOUND."""
        pk = self.ids.get(name)
        if pk is None:
            raise ConfigError(f"No connection is bound to {name!r}.", code="FLOW_NOT_BOUND")
        return pk

    def _rows(self) -> Any:
        return Connection.objects.kept().filter(workspace_id=self.run.workspace_id, environment=self.run.environment)


def _living(name: str, row: Connection | None) -> Connection:
    if row is None:
        raise NotFoundError(f"The connection bound to {name!r} was deleted.", code="CONNECTION_NOT_FOUND")
    if row.health == ConnectionStatus.DISCONNECTED:
        raise disconnected(row.name)
    return row


def _triggering(input: Mapping[str, Any]) -> Any:
    event = input.get("event")
    return event.get("connection") if isinstance(event, Mapping) else None


def _id_of(shown: Any) -> UUID | None:
    return ids.read(Connection.PREFIX, shown) if isinstance(shown, str) else None
