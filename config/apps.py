"""The admin app with our site. Being the wiring's only app, it also makes Celery's application the current one."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin with our site."""

    default_site = "console.site.AdminSite"

    def ready(self) -> None:
        super().ready()
        # Hints are published by every process, the web and the ticks included, through the application made here.
        import_module("config.celery")
