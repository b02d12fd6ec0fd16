"""Telling others, and being told."""

from webhooks.models.deliveries import Delivery, DeliveryAttempt
from webhooks.models.endpoints import WebhookEndpoint, WebhookSecret
from webhooks.models.inbound import HookAddress, InboundHook

__all__ = ["Delivery", "DeliveryAttempt", "HookAddress", "InboundHook", "WebhookEndpoint", "WebhookSecret"]
