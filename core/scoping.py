"""Tenancy that fails closed: a query without a scope raises (django-scopes)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django_scopes import ScopedManager


def scoped(queryset: type[models.QuerySet[Any]], **dimensions: str) -> Any:
    """A manager of `queryset` that demands the named scopes, e.g. scoped(RunQuerySet, workspace="workspace")."""
    return ScopedManager(_manager_class=models.Manager.from_queryset(queryset), **dimensions)
