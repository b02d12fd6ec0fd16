"""An event's trip to one endpoint."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from webhooks.choices import DeliveryStatus
from webhooks.models.endpoints import WebhookEndpoint
from webhooks.querysets import DeliveryQuerySet
from workspaces.models import Workspace


class Delivery(models.Model):
    """One event for one endpoint, until it was taken or given up. Its event's id is the message id, always the same.

    Claimed in batches: `lease_until` and `fence` say who sends it now. A claim whose worker died falls due again.
    """

    PREFIX = "whd"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event_id = models.UUIDField(help_text="The event, and the message id.")
    part = models.PositiveSmallIntegerField(default=0, help_text="Of a full payload that was split; else 0.")
    event_type = models.CharField(max_length=60)
    position = models.BigIntegerField(help_text="Of the event in the feed; 0 for a test.")
    body = models.TextField(blank=True, help_text="Frozen at the first attempt; thin ones are the event's own body.")
    status = models.CharField(max_length=9, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, db_default=Now(), help_text="Not sent before (database clock, UTC).")
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    is_manual = models.BooleanField(default=False, help_text="Sent again by a person: one attempt, no schedule.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(DeliveryQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "event_id", "part"], condition=Q(is_manual=False), name="one_delivery_per_event"
            )
        ]
        indexes = [
            models.Index(fields=["endpoint", "due_at"], condition=Q(status="pending"), name="delivery_by_due_time"),
            models.Index(fields=["endpoint"], condition=Q(status="pending", is_manual=True), name="delivery_by_hand"),
            models.Index(fields=["endpoint", "event_id"], condition=Q(is_manual=True), name="by_hand_by_event"),
            models.Index(
                fields=["endpoint"], condition=Q(status="exhausted", is_manual=False), name="delivery_given_up"
            ),
            models.Index(fields=["workspace", "id"], name="delivery_by_workspace"),
            models.Index(fields=["endpoint", "id"], name="delivery_by_endpoint"),
            models.Index(fields=["created_at"], name="delivery_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} to {self.endpoint_id}"


class DeliveryAttempt(models.Model):
    """One try, with what came back."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_rows")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField(db_default=Now())
    status_code = models.PositiveSmallIntegerField(null=True, help_text="Empty: no answer came.")
    error_code = models.CharField(max_length=60, blank=True, help_text="Why it failed.")
    elapsed_ms = models.FloatField(help_text="Until the answer was there, milliseconds.")
    answer = models.TextField(blank=True, help_text="At most 4,096 characters of it, secrets cut.")
    signed_with = models.PositiveSmallIntegerField(default=1, help_text="How many secrets signed it.")

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"attempt {self.number}"
