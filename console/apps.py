from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Screens and endpoints that span rooms."""

    name = "console"
    verbose_name = "Console"
