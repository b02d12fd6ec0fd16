"""Identifiers: time-ordered for rows we make, derived for rows we copy, prefixed where people see them."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new UUIDv7: unique, and ordered by the time it was made."""
    return uuid7()


def derived_id(namespace: bytes, remote_id: str) -> UUID:
    """The id of an upstream object, known before the object itself arrives (so references resolve at once).

    `namespace` stands for connection and entity. The same arguments give the same UUIDv8 for ever: stored
    references depend on it, so the digest must never change.
    """
    return UUID(hex=derived_hex(namespace, remote_id))


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derived_hex(namespace: bytes, remote_id: str) -> str:
    """The 32 hex digits of `derived_id`, for the hot path."""
    digest = blake2b(remote_id.encode("utf-8", "surrogatepass"), digest_size=16, key=namespace).hexdigest()
    return f"{digest[:12]}8{digest[13:16]}{_VARIANT[digest[16]]}{digest[17:]}"


def namespace_of(connection_id: UUID, entity: str) -> bytes:
    """The namespace of one entity of one connection, at most 64 bytes (a blake2b key)."""
    return connection_id.bytes + entity.encode()[:48]


def show(prefix: str, value: UUID | None) -> str | None:
    """`po_` + 32 hex digits, as the API and the admin show ids."""
    return f"{prefix}_{value.hex}" if value is not None else None


def read(prefix: str, text: str) -> UUID | None:
    """The UUID of a shown id, None when the text is no id with this prefix."""
    head, _, digits = text.rpartition("_")
    if head != prefix or len(digits) != 32:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None
