"""Wiring: settings, addresses, Celery, the local services."""

__all__ = ["celery_app"]


def __getattr__(name: str) -> object:
    """`celery -A config` finds the application here without loading Django for everything else in this package."""
    if name in ("celery_app", "celery", "app"):
        from config.celery import app

        return app
    raise AttributeError(name)
