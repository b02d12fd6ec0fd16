"""Addresses of this room below /api/v1/."""

from django.urls import path

from webhooks.api import deliveries, endpoints, hook_addresses, states

urlpatterns = [
    path("connections/<str:connection_id>/hook-address", hook_addresses.ConnectionHookAddress.as_view()),
    path("webhook-endpoints", endpoints.WebhookEndpoints.as_view()),
    path("webhook-endpoints/<str:endpoint_id>", endpoints.OneWebhookEndpoint.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/pause", states.PauseWebhookEndpoint.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/resume", states.ResumeWebhookEndpoint.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/enable", states.EnableWebhookEndpoint.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/rotate-secret", states.RotateWebhookSecret.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/test", states.SendTestEvent.as_view()),
    path("webhook-endpoints/<str:endpoint_id>/recover", states.RecoverDeliveries.as_view()),
    path("webhook-deliveries", deliveries.WebhookDeliveries.as_view()),
    path("webhook-deliveries/<str:delivery_id>", deliveries.OneWebhookDelivery.as_view()),
    path("webhook-deliveries/<str:delivery_id>/resend", deliveries.ResendDelivery.as_view()),
]
