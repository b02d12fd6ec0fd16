"""Filters of the list of connections."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from connections.choices import ConnectionStatus
from connections.models import Connection
from integrations.registry import catalogue


class StatusFilter(SimpleListFilter):
    """The status that is shown, which no column holds."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in ConnectionStatus.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet[Connection]:
        if self.value() in ConnectionStatus.values:
            rows: QuerySet[Connection] = queryset.with_status(self.value())  # type: ignore[attr-defined]
            return rows
        return queryset


class SystemFilter(SimpleListFilter):
    """Systems of the catalogue, by title."""

    title = "system"
    parameter_name = "system"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(slug, kind.title) for slug, kind in catalogue().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet[Connection]:
        return queryset.filter(system=self.value()) if self.value() else queryset
