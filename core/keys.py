"""The key ring of this installation, from its settings."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from core.encryption import KeyRing

_read = lru_cache(maxsize=4)(KeyRing.from_text)


def default_ring() -> KeyRing:
    """The ring in settings.ENCRYPTION_KEYS (from the environment or the file it names), read once per text.

    Errors: KeyRingError when it is unreadable.
    """
    return _read(settings.ENCRYPTION_KEYS)
