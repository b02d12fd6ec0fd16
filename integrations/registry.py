"""The catalogue of connectors. It alone reaches them, by the dotted names in settings.CONNECTORS."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.utils.module_loading import import_string

from core.errors import NotFoundError
from integrations.sdk.connector import Connector


@lru_cache
def _catalogue(paths: tuple[str, ...]) -> dict[str, type[Connector]]:
    found = [import_string(path) for path in paths]
    return {connector.slug: connector for connector in found}


def catalogue() -> dict[str, type[Connector]]:
    """Slug -> connector class, in the order of the settings."""
    return _catalogue(tuple(settings.CONNECTORS))


def get_connector(slug: str) -> type[Connector]:
    """The connector of a system; NotFoundError when there is none."""
    try:
        return catalogue()[slug]
    except KeyError:
        raise NotFoundError(f"There is no system {slug!r}. See /api/v1/systems for those there are.") from None
