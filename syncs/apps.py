from django.apps import AppConfig


class SyncsConfig(AppConfig):
    """What moves: syncs, runs, records, the engine."""

    name = "syncs"
    verbose_name = "Syncing"
