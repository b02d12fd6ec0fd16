"""Words of this room, with label and badge colour side by side."""

from __future__ import annotations

from django.db import models


class EndpointStatus(models.TextChoices):
    """Where an endpoint stands. Nothing is sent to one that is not active; what happens meanwhile waits."""

    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    DISABLED = "disabled", "Disabled"


ENDPOINT_BADGES = {EndpointStatus.ACTIVE: "success", EndpointStatus.PAUSED: "", EndpointStatus.DISABLED: "danger"}


class Payload(models.TextChoices):
    """What a delivery carries."""

    THIN = "thin", "Thin: the event, with ids of records"
    FULL = "full", "Full: the event with the records in it"


class DeliveryStatus(models.TextChoices):
    """Where an event's trip to one endpoint stands."""

    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    EXHAUSTED = "exhausted", "Exhausted"
    CANCELLED = "cancelled", "Cancelled"


DELIVERY_BADGES = {
    DeliveryStatus.PENDING: "info",
    DeliveryStatus.DELIVERED: "success",
    DeliveryStatus.EXHAUSTED: "danger",
    DeliveryStatus.CANCELLED: "",
}


class HookStatus(models.TextChoices):
    """What became of a message from a system."""

    RECEIVED = "received", "Received"
    DONE = "done", "Done"
    IGNORED = "ignored", "Ignored"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


HOOK_BADGES = {
    HookStatus.RECEIVED: "info",
    HookStatus.DONE: "success",
    HookStatus.IGNORED: "",
    HookStatus.REFUSED: "danger",
    HookStatus.FAILED: "danger",
}
