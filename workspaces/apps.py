from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Whose it is: workspaces, members, tokens, events."""

    name = "workspaces"
    verbose_name = "Workspaces"
