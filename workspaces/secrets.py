"""Secrets of workspaces: encrypted here, or referred to in a secrets manager. The only place that opens them."""

from __future__ import annotations

from core.encryption import DecryptionError, KeyRingError
from core.errors import ConfigError
from core.keys import default_ring
from workspaces.models import StoredSecret


def seal(row: StoredSecret, clear: str) -> None:
    """Encrypt a secret into its row, which the caller saves."""
    row.ciphertext, row.reference = default_ring().encrypt(clear, bound_to=row.bound_to), ""


def open_secret(row: StoredSecret, *, fresh: bool = False) -> str:
    """The secret in clear. `fresh` asks a secrets manager again instead of its short cache.

    Errors: ConfigError KEY_MISSING for what does not decrypt.
    """
    try:
        return default_ring().decrypt(row.ciphertext or b"", bound_to=row.bound_to).decode()
    except (DecryptionError, KeyRingError) as error:
        raise ConfigError(f"The secret {row} cannot be read: {error.detail}", code="KEY_MISSING") from error
