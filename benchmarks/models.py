"""Unified orders as most teams would keep them: one column a field. Used by plain_django.py and the plain list."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Order(models.Model):
    """What `benchmarks.mapping.unify` makes of an upstream order."""

    key = models.CharField(max_length=64, unique=True)
    number = models.CharField(max_length=64)
    revision = models.IntegerField()
    status = models.CharField(max_length=32)
    supplier_id = models.CharField(max_length=64)
    supplier_name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3)
    total = models.DecimalField(max_digits=18, decimal_places=2)
    site = models.CharField(max_length=64)
    ordered_on = models.DateField()
    expected_on = models.DateField()
    lines = models.JSONField()
    custom = models.JSONField()
    updated_at = models.DateTimeField()
    deleted = models.BooleanField()

    objects: ClassVar[models.Manager[Order]] = models.Manager()

    class Meta:
        db_table = "plain_orders"

    def __str__(self) -> str:
        return self.number
