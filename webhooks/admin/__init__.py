"""Screens of this room."""

from webhooks.admin.deliveries import DeliveryAdmin
from webhooks.admin.endpoints import WebhookEndpointAdmin
from webhooks.admin.inbound import InboundHookAdmin

__all__ = ["DeliveryAdmin", "InboundHookAdmin", "WebhookEndpointAdmin"]
