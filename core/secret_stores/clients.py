"""The vendors' own clients: imported when first needed, for they are optional and slow to load."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from core.secret_stores.errors import StoreSetupError

CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
"""How long a store may take to accept a connection, and between two pieces of its answer."""


def load(module: str, *, extra: str) -> Any:
    """The module, or StoreSetupError naming the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise StoreSetupError(
            f"This secrets manager needs the Python package of its vendor: pip install 'lineshaft[{extra}]'.",
            log_detail=str(error),
        ) from error
