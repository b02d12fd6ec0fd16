"""Secrets in environment variables: only those made for it, so that nobody reads the platform's own."""

from __future__ import annotations

import os

from core.secret_stores.errors import StoreMissingError
from core.secret_stores.references import Reference


def read(reference: Reference) -> str:
    """The variable's value. Its name was judged when the reference was parsed."""
    value = os.environ.get(reference.path, "")
    if not value:
        raise StoreMissingError(
            f"{reference}: there is no such environment variable in this process. Set it for the web and worker"
            " processes and start them again."
        )
    return value
