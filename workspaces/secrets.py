"""Secrets of workspaces: encrypted here, or referred to in a secrets manager. The only place that opens them."""

from __future__ import annotations

from core.encryption import DecryptionError, KeyRingError
from core.errors import ConfigError
from core.secret_stores.references import parse
from workspaces.data_keys import open_row, seal_bytes
from workspaces.models import StoredSecret
from workspaces.references import demand_allowed, follow


def seal(row: StoredSecret, clear: str) -> None:
    """Encrypt a secret into its row, which the caller saves in the same transaction."""
    row.ciphertext, row.reference = seal_bytes(row.workspace_id, clear, row.bound_to), ""


def point(row: StoredSecret, reference: str) -> None:
    """Let a row, which the caller saves, refer to a secrets manager. Nobody is asked whether something is there.

    Errors: ValidationFailedError REFERENCE_INVALID, REFERENCE_NOT_ALLOWED.
    """
    parsed = parse(reference)
    demand_allowed(row.workspace_id, parsed)
    row.ciphertext, row.reference = None, str(parsed)


def open_secret(row: StoredSecret, *, fresh: bool = False) -> str:
    """The secret in clear. `fresh` asks a secrets manager again instead of its short cache.

    A reference is followed over the network, so never in a transaction. Errors: ConfigError KEY_MISSING for what does not
    decrypt; for a reference those of `references.follow`.
    """
    if row.reference:
        return follow(row.workspace_id, row.reference, fresh=fresh)
    try:
        return open_row(row).decode()
    except (DecryptionError, KeyRingError) as error:
        raise ConfigError(f"The secret {row} cannot be read: {error.detail}", code="KEY_MISSING") from error
