from django.apps import AppConfig


class FlowsConfig(AppConfig):
    """Workflows: definitions, versions, runs, steps."""

    name = "flows"
    verbose_name = "Flows"
