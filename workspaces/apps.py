from importlib import import_module

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Whose it is: workspaces, members, tokens, events."""

    name = "workspaces"
    verbose_name = "Workspaces"

    def ready(self) -> None:
        # Models are there only now.
        import_module("workspaces.signing_in").connect()
