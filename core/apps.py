"""The foundation as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from core import checks  # noqa: F401  (they register by being imported)
from core.logs import configure


class CoreConfig(AppConfig):
    """Sets up logging when Django starts, and brings the system checks."""

    name = "core"
    verbose_name = "Platform"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        configure(getattr(settings, "LOG_FORMAT", "json"), getattr(settings, "LOG_LEVEL", "INFO"))
