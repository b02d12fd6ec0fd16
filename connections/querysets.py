"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.choices import MAY_SYNC, ConnectionStatus


class ConnectionQuerySet(models.QuerySet[Any]):
    """Selections of connections."""

    def may_sync(self) -> ConnectionQuerySet:
        """Neither paused nor waiting for a person, and the circuit lets calls through (database clock)."""
        return self.filter(
            Q(circuit_open_until=None) | Q(circuit_open_until__lte=Now()), paused=False, health__in=MAY_SYNC
        )

    def present(self) -> ConnectionQuerySet:
        """Not disconnected."""
        return self.exclude(health=ConnectionStatus.DISCONNECTED)


class MappingQuerySet(models.QuerySet[Any]):
    """Selections of mapping versions."""

    def current_default(self, system: str, entity: str) -> MappingQuerySet:
        return self.filter(connection=None, system=system, entity=entity, is_current=True)

    def current_override(self, connection_id: Any, entity: str) -> MappingQuerySet:
        return self.filter(connection_id=connection_id, entity=entity, is_current=True)
