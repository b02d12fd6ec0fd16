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


class PlainRecord(models.Model):
    """A purchase order as Lineshaft serves it, one column a field: what the plain list answers, byte for byte as much."""

    pk_number = models.BigAutoField(primary_key=True)
    id = models.CharField(max_length=64, unique=True)
    connection_id = models.CharField(max_length=64)
    entity = models.CharField(max_length=40)
    remote_id = models.CharField(max_length=512)
    number = models.CharField(max_length=64, null=True)
    reference = models.CharField(max_length=200, null=True)
    description = models.TextField(null=True)
    status = models.CharField(max_length=32, null=True)
    remote_status = models.CharField(max_length=64, null=True)
    vendor = models.JSONField(null=True)
    currency = models.CharField(max_length=3, null=True)
    total_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    untaxed_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    tax_amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    order_date = models.DateField(null=True)
    expected_date = models.DateField(null=True)
    delivery_location = models.JSONField(null=True)
    ship_to = models.JSONField(null=True)
    buyer = models.JSONField(null=True)
    payment_terms = models.CharField(max_length=200, null=True)
    delivery_terms = models.CharField(max_length=200, null=True)
    notes = models.TextField(null=True)
    lines = models.JSONField()
    custom = models.JSONField()
    remote_created_at = models.DateTimeField(null=True)
    remote_updated_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    objects: ClassVar[models.Manager[PlainRecord]] = models.Manager()

    class Meta:
        db_table = "plain_records"

    def __str__(self) -> str:
        return self.id
