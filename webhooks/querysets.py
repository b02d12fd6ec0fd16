"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models

from webhooks.choices import DeliveryStatus, EndpointStatus


class EndpointQuerySet(models.QuerySet[Any]):
    """Selections of endpoints."""

    def active(self) -> EndpointQuerySet:
        """Those that are sent to."""
        return self.filter(status=EndpointStatus.ACTIVE)


class DeliveryQuerySet(models.QuerySet[Any]):
    """Selections of deliveries."""

    def pending(self) -> DeliveryQuerySet:
        """Still to be delivered."""
        return self.filter(status=DeliveryStatus.PENDING)


class InboundHookQuerySet(models.QuerySet[Any]):
    """Selections of messages from systems."""
