from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """What can be connected. No models: an app for its commands and checks."""

    name = "integrations"
