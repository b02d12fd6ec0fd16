from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    """Who is connected: connections, credentials, mappings, capabilities, health."""

    name = "connections"
    verbose_name = "Connections"
