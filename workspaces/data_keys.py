"""Data keys: each workspace has its own, stored encrypted ("wrapped") with a key of the ring.

The rings' keys thus never touch the secrets, a workspace's keys open nothing of another's, and a new key of the ring
costs one write a workspace. Keys are held open in the memory of the process, never in the database, a log or an answer.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock
from uuid import UUID

from django.db import connection, transaction

from core.encryption import KEY_BYTES, DataCipher, DecryptionError, KeyRing, data_key_id_of
from core.errors import BugError
from core.keys import default_ring
from workspaces.models import DataKey, StoredSecret

DATA_KEY_UNKNOWN = "DATA_KEY_UNKNOWN"
MAX_OPEN_KEYS = 1000


def seal_bytes(workspace_id: UUID, clear: str | bytes, bound_to: str) -> bytes:
    """Encrypt a secret of a workspace for the row named by `bound_to`.

    The row is saved in the same transaction: until its end the key cannot be deleted as unused.
    """
    return current_cipher(workspace_id).encrypt(clear, bound_to=bound_to)


def open_bytes(workspace_id: UUID, ciphertext: bytes | memoryview, bound_to: str) -> bytes:
    """The secret in clear. Errors: DecryptionError, with DATA_KEY_UNKNOWN when the workspace has no such data key."""
    key_id = data_key_id_of(ciphertext)
    if key_id is None:  # stored before there were data keys
        return default_ring().decrypt(ciphertext, bound_to=bound_to)
    return _cipher(workspace_id, key_id).decrypt(ciphertext, bound_to=bound_to)


def open_row(row: StoredSecret) -> bytes:
    """The secret of a row in clear. A row read before its data key was replaced and deleted is read anew, once."""
    held = bytes(row.ciphertext or b"")
    try:
        return open_bytes(row.workspace_id, held, row.bound_to)
    except DecryptionError as error:
        stored = _stored_ciphertext(row) if error.code == DATA_KEY_UNKNOWN else None
        if stored is None or stored == held:
            raise
    row.ciphertext = stored  # whoever saves the row must not write the dead one back
    return open_bytes(row.workspace_id, stored, row.bound_to)


def current_cipher(workspace_id: UUID) -> DataCipher:
    """What encrypts the workspace's secrets now; its first data key is made on demand.

    Until the caller's transaction ends the key's row is shared-locked, so that it is not deleted as unused meanwhile.
    """
    with transaction.atomic():
        for _ in range(3):  # two workers may make the first at once: one does, the other finds it
            found = _hold_current(workspace_id)
            if found is not None:
                return found
            DataKey.objects.with_scopes_disabled().bulk_create([new_data_key(workspace_id)], ignore_conflicts=True)
    raise BugError(f"The workspace {workspace_id} has no current data key although one was just made.")


def new_data_key(workspace_id: UUID) -> DataKey:
    """A new random key in a row that is not saved yet."""
    row = DataKey(workspace_id=workspace_id)
    row.wrapped = default_ring().encrypt(os.urandom(KEY_BYTES), bound_to=row.bound_to)
    return row


def unwrap(row: DataKey, ring: KeyRing) -> bytes:
    """The 32 bytes of a data key. Errors: DecryptionError that names the data key and what is missing."""
    try:
        return ring.decrypt(row.wrapped, bound_to=row.bound_to)
    except DecryptionError as error:
        raise DecryptionError(f"The data key {row.pk} does not open. {error.detail}", code=error.code) from error


class _OpenKeys:
    """Open data keys of this process, by ring, workspace and id; the least used leaves first."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[KeyRing, UUID, UUID], DataCipher] = OrderedDict()
        self._lock = Lock()

    def get(self, ring: KeyRing, workspace_id: UUID, key_id: UUID) -> DataCipher | None:
        with self._lock:
            found = self._held.get((ring, workspace_id, key_id))
            if found is not None:
                self._held.move_to_end((ring, workspace_id, key_id))
            return found

    def keep(self, ring: KeyRing, row: DataKey) -> DataCipher:
        cipher = DataCipher.from_bytes(row.pk, unwrap(row, ring))
        with self._lock:
            self._held[(ring, row.workspace_id, row.pk)] = cipher
            while len(self._held) > MAX_OPEN_KEYS:
                self._held.popitem(last=False)
        return cipher


_open_keys = _OpenKeys()


def _hold_current(workspace_id: UUID) -> DataCipher | None:
    """KEY SHARE holds off a deletion alone: neither wrapping it anew nor replacing it waits for who encrypts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, wrapped FROM workspaces_datakey WHERE workspace_id = %s AND is_current FOR KEY SHARE",
            [workspace_id],
        )
        found = cursor.fetchone()
    if found is None:
        return None
    ring, (key_id, wrapped) = default_ring(), found
    row = DataKey(id=key_id, workspace_id=workspace_id, wrapped=bytes(wrapped))
    return _open_keys.get(ring, workspace_id, key_id) or _open_keys.keep(ring, row)


def _cipher(workspace_id: UUID, key_id: UUID) -> DataCipher:
    ring = default_ring()
    held = _open_keys.get(ring, workspace_id, key_id)
    if held is not None:
        return held
    row = DataKey.objects.with_scopes_disabled().filter(workspace_id=workspace_id, pk=key_id).first()
    if row is None:
        raise DecryptionError(
            f"The secret was encrypted with the data key {key_id}, which this workspace does not have."
            " Enter the secret again.",
            code=DATA_KEY_UNKNOWN,
        )
    return _open_keys.keep(ring, row)


def _stored_ciphertext(row: StoredSecret) -> bytes | None:
    rows = type(row).objects.with_scopes_disabled().filter(pk=row.pk, workspace_id=row.workspace_id)
    stored = rows.values_list("ciphertext", flat=True).first()
    return bytes(stored) if stored else None
