"""Encryption of secrets at rest: AES-256-GCM, bound to the row that holds them. Django-free.

A ciphertext says which key opens it and opens only for the row it was made for, so that copying it to another row
(say, into another tenant's connection) yields an error and no secret.

Two layouts, told apart by their first byte:

1. 1 byte version (1) | 1 byte n | n bytes key id (ASCII) | 12 bytes nonce | ciphertext and 16 bytes tag.
   Made by a key of the ring: data keys, and secrets stored before there were data keys.
2. 1 byte version (2) | 16 bytes data key id | 12 bytes nonce | ciphertext and 16 bytes tag.
   Made by a data key, which belongs to one workspace and is itself stored encrypted with a key of the ring.

The header and the row's name are authenticated. A later layout takes another version byte.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigError

VERSION, ENVELOPE_VERSION = 1, 2
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
ENVELOPE_HEADER_BYTES = 17
MAX_RING_HEADER_BYTES = 66
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(eq=False)
class KeyRingError(ConfigError):
    """The text of the key ring is wrong; the detail says which entry, never what it holds."""

    default_code = "KEY_RING_INVALID"


@dataclass(eq=False)
class DecryptionError(ConfigError):
    """A ciphertext does not open: another row's, damaged, or made with a key that is not in the ring."""

    default_code = "DECRYPTION_FAILED"


@dataclass(frozen=True, eq=False)
class KeyRing:
    """Keys by id. The first encrypts, all decrypt; to rotate, put a new one in front and keep the old one."""

    _keys: dict[str, AESGCM] = field(repr=False)
    ids: tuple[str, ...]

    @classmethod
    def from_text(cls, text: str) -> KeyRing:
        """Read `id:base64 of 32 bytes`, comma separated, or raise KeyRingError."""
        keys: dict[str, AESGCM] = {}
        entries = [entry.strip() for entry in text.split(",")]
        for number, entry in enumerate(entries, start=1):
            key_id, key = _read_entry(entry, number)
            if key_id in keys:
                raise KeyRingError(f"The key id {key_id} stands twice in the key ring.")
            keys[key_id] = key
        return cls(keys, tuple(keys))

    @property
    def current_id(self) -> str:
        """The id of the key that encrypts."""
        return self.ids[0]

    def encrypt(self, plaintext: str | bytes, *, bound_to: str) -> bytes:
        """Encrypt for one row, named by `bound_to` (e.g. "connections.credential:<uuid>:api_key")."""
        header = bytes([VERSION, len(self.current_id)]) + self.current_id.encode("ascii")
        return _seal(self._keys[self.current_id], header, plaintext, bound_to)

    def decrypt(self, ciphertext: bytes | memoryview, *, bound_to: str) -> bytes:
        """The plaintext, or DecryptionError."""
        ciphertext = bytes(ciphertext)  # psycopg answers a memoryview
        key_id = key_id_of(ciphertext)
        key = self._keys.get(key_id)
        if key is None:
            known = ", ".join(self.ids)
            raise DecryptionError(
                f"The secret was encrypted with the key {key_id}, which is not in ENCRYPTION_KEYS (there: {known})."
                " Add that key back, behind the first one.",
                code="ENCRYPTION_KEY_UNKNOWN",
            )
        return _open(key, key_id, ciphertext, 2 + len(key_id), bound_to)


@dataclass(frozen=True, eq=False)
class DataCipher:
    """An open data key. What it holds is never shown."""

    key_id: UUID
    _key: AESGCM = field(repr=False)

    @classmethod
    def from_bytes(cls, key_id: UUID, key: bytes) -> DataCipher:
        """The cipher of these 32 bytes, or DecryptionError."""
        if len(key) != KEY_BYTES:
            raise DecryptionError(f"The data key {key_id} has {len(key)} bytes; AES-256 takes {KEY_BYTES}.")
        return cls(key_id, AESGCM(key))

    @property
    def header(self) -> bytes:
        """What every ciphertext of this key begins with."""
        return envelope_header(self.key_id)

    def encrypt(self, plaintext: str | bytes, *, bound_to: str) -> bytes:
        """Encrypt for one row, named by `bound_to`."""
        return _seal(self._key, self.header, plaintext, bound_to)

    def decrypt(self, ciphertext: bytes | memoryview, *, bound_to: str) -> bytes:
        """The plaintext, or DecryptionError."""
        ciphertext = bytes(ciphertext)
        if data_key_id_of(ciphertext) != self.key_id:
            raise DecryptionError(f"The secret was not encrypted with the data key {self.key_id}.")
        return _open(self._key, str(self.key_id), ciphertext, ENVELOPE_HEADER_BYTES, bound_to)


def envelope_header(data_key_id: UUID) -> bytes:
    """The first bytes of every ciphertext made by this data key."""
    return bytes([ENVELOPE_VERSION]) + data_key_id.bytes


def data_key_id_of(ciphertext: bytes | memoryview) -> UUID | None:
    """The id of the data key that made it, without opening it; None when a key of the ring did."""
    ciphertext = bytes(ciphertext)
    if not ciphertext or ciphertext[0] != ENVELOPE_VERSION:
        key_id_of(ciphertext)
        return None
    if len(ciphertext) < ENVELOPE_HEADER_BYTES + NONCE_BYTES + TAG_BYTES:
        raise DecryptionError("The stored secret is damaged. Enter it again.")
    return UUID(bytes=ciphertext[1:ENVELOPE_HEADER_BYTES])


def key_id_of(ciphertext: bytes | memoryview) -> str:
    """The id of the ring's key that made it, without opening it."""
    ciphertext = bytes(ciphertext)
    if not ciphertext or ciphertext[0] != VERSION:
        raise DecryptionError("The stored secret is in no layout that this release knows.")
    length = ciphertext[1] if len(ciphertext) > 1 else 0
    key_id = ciphertext[2 : 2 + length].decode("ascii", "replace")
    if len(ciphertext) < 2 + length + NONCE_BYTES + TAG_BYTES or not _KEY_ID.fullmatch(key_id):
        raise DecryptionError("The stored secret is damaged. Enter it again.")
    return key_id


def ring_text(file_text: str) -> str:
    """The text of a ring that was kept in a file, where lines count as commas."""
    return ",".join(line.strip().strip(",") for line in file_text.splitlines() if line.strip(" \t,"))


def _seal(key: AESGCM, header: bytes, plaintext: str | bytes, bound_to: str) -> bytes:
    data = plaintext.encode() if isinstance(plaintext, str) else plaintext
    nonce = os.urandom(NONCE_BYTES)
    return header + nonce + key.encrypt(nonce, data, _associated(header, bound_to))


def _open(key: AESGCM, key_id: str, ciphertext: bytes, header_bytes: int, bound_to: str) -> bytes:
    header, rest = ciphertext[:header_bytes], ciphertext[header_bytes:]
    try:
        return key.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _associated(header, bound_to))
    except InvalidTag as error:
        raise DecryptionError(
            f"The secret does not open with the key {key_id}: it was changed, belongs to another row, or the key"
            " under this id is another one now. Enter the secret again."
        ) from error


def _associated(header: bytes, bound_to: str) -> bytes:
    if not bound_to:
        raise ValueError("bound_to must name the row")
    return header + bound_to.encode()


def _read_entry(entry: str, number: int) -> tuple[str, AESGCM]:
    key_id, colon, encoded = entry.partition(":")
    if not colon or not _KEY_ID.fullmatch(key_id):
        raise KeyRingError(
            f"Entry {number} of the key ring must be `id:base64 of 32 bytes`, the id of letters, digits and ._-"
        )
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyRingError(f"The key {key_id} of the key ring is not base64.") from error
    if len(key) != KEY_BYTES:
        raise KeyRingError(f"The key {key_id} of the key ring has {len(key)} bytes; AES-256 takes {KEY_BYTES}.")
    return key_id, AESGCM(key)
