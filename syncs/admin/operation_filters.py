"""Filters of the list of operations, and what its search box finds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from connections.admin.filters import SystemFilter
from core import ids
from integrations.entities import ENTITIES
from integrations.registry import catalogue
from syncs.choices import OperationStatus
from syncs.models import Operation

__all__ = ["BatchFilter", "DecisionFilter", "OperationSystemFilter", "RecordFilter", "sought"]


class DecisionFilter(SimpleListFilter):
    """Those whose outcome only a person can tell."""

    title, parameter_name = "a decision", "decision"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("needed", "Needs one")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        return queryset.filter(status=OperationStatus.NEEDS_REVIEW) if self.value() == "needed" else queryset


class OperationSystemFilter(SystemFilter):
    """The system of an operation's connection."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(connection__system=self.value()) if self.value() in catalogue() else queryset


class _OwnerFilter(SimpleListFilter):
    """One record or bulk call, by its id; pages of these lead here, so there is nothing to choose from."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name or "")
        return [(chosen, "this one")] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        if not self.value():
            return queryset
        value = _uuid(str(self.value()))
        return queryset.filter(**{self.column: value}) if value else queryset.none()


class RecordFilter(_OwnerFilter):
    """`?record=<uuid>`."""

    title, parameter_name, column = "record", "record", "record_id"


class BatchFilter(_OwnerFilter):
    """`?batch=<uuid>`."""

    title, parameter_name, column = "bulk call", "batch", "batch_id"


def sought(text: str) -> Q:
    """Exactly this operation or record by its id, or this remote id or idempotency key."""
    operation_id = ids.read(Operation.PREFIX, text)
    if operation_id is not None:
        return Q(pk=operation_id)
    for entity in ENTITIES.values():
        record_id = ids.read(entity.describes.id_prefix, text)
        if record_id is not None:
            return Q(record_id=record_id)
    named = Q(remote_id=text) | Q(idempotency_key=text)
    value = _uuid(text)
    return named | Q(pk=value) | Q(record_id=value) if value else named


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
