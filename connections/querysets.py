"""Named ways to select this room's rows."""

from __future__ import annotations

import json
import re
from typing import Any

from django.db import models
from django.db.models import BooleanField, F, Func, Q, Value
from django.db.models.functions import Now

from connections.choices import MAY_SYNC, ConnectionStatus

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?")


class ConnectionQuerySet(models.QuerySet[Any]):
    """Selections of connections."""

    def may_sync(self) -> ConnectionQuerySet:
        """Neither paused nor waiting for a person, and the circuit lets calls through (database clock)."""
        return self.filter(
            Q(circuit_open_until=None) | Q(circuit_open_until__lte=Now()), paused=False, health__in=MAY_SYNC
        )

    def to_be_polled(self) -> ConnectionQuerySet:
        """Those whose health is asked for: neither paused, nor purged, nor waiting for a person."""
        return self.filter(paused=False, health__in=MAY_SYNC, purge_requested_at=None)

    def sharing(self, entity: Any) -> ConnectionQuerySet:
        """Those whose customer shares the entity: a name, or an expression such as OuterRef("entity")."""
        named = entity if hasattr(entity, "resolve_expression") else Value(entity)
        shared = Func(F("shared"), named, function="jsonb_exists", output_field=BooleanField())
        return self.filter(Q(shared__isnull=True) | Q(shared))

    def present(self) -> ConnectionQuerySet:
        """Not disconnected."""
        return self.exclude(health=ConnectionStatus.DISCONNECTED)

    def kept(self) -> ConnectionQuerySet:
        """Without those that were deleted and whose data is being purged."""
        return self.filter(purge_requested_at=None)

    def with_status(self, status: str) -> ConnectionQuerySet:
        """Those that show this status; the same order of precedence as `Connection.status`."""
        first = (ConnectionStatus.DISCONNECTED, ConnectionStatus.NEEDS_REAUTH)
        if status in first:
            return self.filter(health=status)
        if status == ConnectionStatus.PAUSED:
            return self.filter(paused=True).exclude(health__in=first)
        return self.filter(health=status, paused=False)

    def with_metadata(self, key: str, value: str) -> ConnectionQuerySet:
        """Those whose metadata has `key` with this value: a text, or a number or truth value written the same way."""
        wanted = Q(metadata__contains={key: value})
        if value in ("true", "false") or _NUMBER.fullmatch(value):
            wanted |= Q(metadata__contains={key: json.loads(value)})
        return self.filter(wanted)

    def search(self, text: str) -> ConnectionQuerySet:
        """Those whose name or customer reference holds the text, upper and lower case alike."""
        return self.filter(Q(name__icontains=text) | Q(customer_reference__icontains=text))


class MappingQuerySet(models.QuerySet[Any]):
    """Selections of mapping versions."""

    def current_default(self, system: str, entity: str) -> MappingQuerySet:
        return self.filter(connection=None, system=system, entity=entity, is_current=True)

    def current_override(self, connection_id: Any, entity: str) -> MappingQuerySet:
        return self.filter(connection_id=connection_id, entity=entity, is_current=True)


class CallQuerySet(models.QuerySet[Any]):
    """Selections of upstream calls."""

    def owned(self) -> CallQuerySet:
        """Those of runs and operations."""
        return self.exclude(run_id=None, operation_id=None)
