"""Filters of the list of runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from core import ids
from flows.choices import UNENDED
from flows.models import Flow

__all__ = ["DryFilter", "FlowFilter", "UnendedFilter"]

OFFERED = 200


class FlowFilter(SimpleListFilter):
    """One flow, of those the person sees."""

    title, parameter_name = "flow", "flow"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = Flow.objects.order_by("name", "pk").values_list("pk", "name")
        return [(str(pk), name) for pk, name in rows[:OFFERED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        value = _uuid(Flow.PREFIX, str(self.value()))
        return queryset.filter(flow_id=value) if value else queryset.none()


class UnendedFilter(SimpleListFilter):
    """Queued, running and waiting ones."""

    title, parameter_name = "under way", "unended"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("yes", "Under way")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status__in=UNENDED) if self.value() == "yes" else queryset


class DryFilter(SimpleListFilter):
    """Real ones unless somebody asks for tests."""

    title, parameter_name = "dry runs", "dry"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("no", "Real runs only"), ("yes", "Dry runs only")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(is_dry=self.value() == "yes") if self.value() in ("yes", "no") else queryset


def _uuid(prefix: str, text: str) -> UUID | None:
    try:
        return ids.read(prefix, text) or UUID(text)
    except ValueError:
        return None
