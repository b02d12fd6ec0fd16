"""Filters of this room's lists. Those by connection offer the first by name, not ten thousand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from connections.models import Connection
from connections.screen_texts import entity_title
from core import ids
from integrations.entities import ENTITIES
from syncs.choices import SyncState
from syncs.states import SYNC_STATE, as_expression

OFFERED = 30


class StateFilter(SimpleListFilter):
    """The derived state of a sync."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in SyncState.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in SyncState.values:
            return queryset
        rows: QuerySet[Any] = queryset.alias(state=as_expression(SYNC_STATE)).filter(state=self.value())
        return rows


class EntityFilter(SimpleListFilter):
    """The entity; `path` leads to its column."""

    title = "entity"
    parameter_name = "entity"
    path = "entity"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(name, entity_title(name)) for name in ENTITIES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.value()}) if self.value() in ENTITIES else queryset


class SyncEntityFilter(EntityFilter):
    """The entity of a row's sync."""

    path = "sync__entity"


class ConnectionFilter(SimpleListFilter):
    """The connection, by its id; other ones than those offered are reached from their own page, or by search."""

    title = "connection"
    parameter_name = "connection"
    path = "connection"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = Connection.objects.kept().order_by("name", "id")
        offered = dict(rows.values_list("pk", "name")[:OFFERED])
        chosen = _uuid(self.value() or "")
        if chosen is not None and chosen not in offered:
            offered |= dict(rows.filter(pk=chosen).values_list("pk", "name"))
        return [(str(pk), name) for pk, name in offered.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        value = _uuid(str(self.value()))
        return queryset.filter(**{self.path: value}) if value else queryset.none()


class SyncConnectionFilter(ConnectionFilter):
    """The connection of a row's sync."""

    path = "sync__connection"


def _uuid(text: str) -> UUID | None:
    try:
        return ids.read(Connection.PREFIX, text) or UUID(text)
    except ValueError:
        return None
