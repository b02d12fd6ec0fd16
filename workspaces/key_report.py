"""Where keys stand: what each key of the ring is needed for, and whether everything that is stored opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import Substr

from core.encryption import (
    MAX_RING_HEADER_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    VERSION,
    DecryptionError,
    KeyRing,
    envelope_header,
    key_id_of,
)
from core.keys import default_ring
from workspaces.data_keys import open_row, unwrap
from workspaces.models import DataKey, StoredSecret
from workspaces.reencryption import name_of, secret_models, with_head

UNREADABLE = "(damaged)"
READ_AT_ONCE = 500


@dataclass(frozen=True)
class RingKey:
    """A key of the ring, or one that stored rows need and the ring lacks, and what it is needed for."""

    id: str
    in_ring: bool
    is_first: bool
    data_keys: int
    secrets: int  # encrypted by it directly, before there were data keys

    @property
    def can_be_removed(self) -> bool:
        """Whether nothing is lost without it."""
        return self.in_ring and not self.is_first and not self.data_keys and not self.secrets


@dataclass(frozen=True)
class SecretsReport:
    """How many secrets are stored here; `unopened` names those that do not open. `references` open elsewhere."""

    stored: int
    references: int
    unopened: tuple[str, ...]


@dataclass(frozen=True)
class KeyReport:
    """All of it; the unopened are named with the reason, never with what they hold."""

    ring: tuple[RingKey, ...]
    data_keys: int
    unopened_data_keys: tuple[str, ...]
    secrets: SecretsReport

    @property
    def is_well(self) -> bool:
        return not self.unopened_data_keys and not self.secrets.unopened


def examine_keys() -> KeyReport:
    """Open everything. Errors: KeyRingError when there is no ring to open it with."""
    ring = default_ring()
    rows = list(DataKey.objects.with_scopes_disabled().select_related("workspace"))
    return KeyReport(
        ring=ring_use(),
        data_keys=len(rows),
        unopened_data_keys=tuple(problem for row in rows if (problem := _data_key_problem(row, ring))),
        secrets=examine_secrets(),
    )


def examine_secrets(latest: int | None = None) -> SecretsReport:
    """Open the secrets that are stored here, all or of each kind the latest. No secrets manager is asked."""
    stored, references, unopened = 0, 0, []
    for row in _stored(latest):
        if row.ciphertext is None:
            references += 1
            continue
        stored += 1
        try:
            open_row(row)
        except DecryptionError as error:
            unopened.append(f"{name_of(row, row.workspace)}: {error.detail}")
    return SecretsReport(stored, references, tuple(unopened))


def ring_use() -> tuple[RingKey, ...]:
    """What each key of the ring is needed for, in the ring's order, then what is needed but not there."""
    ring = default_ring()
    wrapped = DataKey.objects.with_scopes_disabled().values_list("wrapped", flat=True)
    data_keys, direct = Counter(map(_key_id, wrapped)), Counter(map(_key_id, _direct_heads()))
    missing = sorted((set(data_keys) | set(direct)) - set(ring.ids))
    return tuple(
        RingKey(name, name in ring.ids, name == ring.current_id, data_keys[name], direct[name])
        for name in (*ring.ids, *missing)
    )


def secrets_by_data_key(keys: Iterable[DataKey]) -> dict[UUID, int]:
    """How many secrets each of the keys encrypted; one query for each kind of secret, however many keys."""
    headers = {envelope_header(key.pk): key.pk for key in keys}
    found: Counter[UUID] = Counter()
    for model in secret_models():
        rows = with_head(model.objects.with_scopes_disabled()).filter(head__in=list(headers))
        for head, count in rows.order_by().values_list("head").annotate(count=Count("pk")):
            found[headers[bytes(head)]] += count
    return dict(found)


def wrapped_by(key: DataKey) -> str:
    """The id of the ring's key that a data key is wrapped with."""
    return _key_id(key.wrapped)


def _stored(latest: int | None) -> Iterator[StoredSecret]:
    for model in secret_models():
        rows = model.objects.with_scopes_disabled().select_related("workspace")
        if latest is None:
            yield from rows.iterator(chunk_size=READ_AT_ONCE)
        else:
            yield from rows.filter(ciphertext__isnull=False).order_by("-updated_at")[:latest]


def _direct_heads() -> Iterator[bytes]:
    """The beginnings of what keys of the ring encrypted themselves."""
    length = MAX_RING_HEADER_BYTES + NONCE_BYTES + TAG_BYTES
    for model in secret_models():
        rows = with_head(model.objects.with_scopes_disabled().filter(ciphertext__isnull=False))
        old = rows.filter(head__gte=bytes([VERSION]), head__lt=bytes([VERSION + 1]))
        yield from old.values_list(Substr("ciphertext", 1, length), flat=True)


def _key_id(ciphertext: bytes | memoryview) -> str:
    try:
        return key_id_of(ciphertext)
    except DecryptionError:
        return UNREADABLE


def _data_key_problem(row: DataKey, ring: KeyRing) -> str | None:
    try:
        unwrap(row, ring)
    except DecryptionError as error:
        return f"workspace {row.workspace.slug}: {error.detail}"
    return None
