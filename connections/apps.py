from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    """Who is connected: connections, credentials, mappings, capabilities, health."""

    name = "connections"
    verbose_name = "Connections"

    def ready(self) -> None:
        """Tell the room below which entities tokens may be limited to."""
        from integrations.entities import ENTITIES  # takes a while, and not every use of the class needs it
        from workspaces.scopes import register_entities

        plurals = {name: entity.describes.plural.replace("_", " ") for name, entity in ENTITIES.items()}
        register_entities(plurals)
