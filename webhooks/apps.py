from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Telling others, and being told."""

    name = "webhooks"
