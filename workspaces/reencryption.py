"""Moving stored secrets to the current data key of their workspace, while everybody works with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection, transaction
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr
from psycopg import sql

from core.encryption import ENVELOPE_HEADER_BYTES, DataCipher, DecryptionError
from workspaces.data_keys import current_cipher, open_bytes
from workspaces.models import StoredSecret, Workspace

BATCH = 250
PATIENCE_SECONDS = 30.0
"""How long rows that others keep locked are tried again after the last one that could be moved."""
TELL_SECONDS = 1.0


class Move:
    """Secrets of one table and workspace, moved in short transactions.

    A batch locks its rows without waiting, so what somebody changes at that moment is passed over and looked at again:
    a newer secret is never overwritten by its older value. `moved` counts; `unopened` and `locked` name the rest.
    """

    def __init__(self, model: type[StoredSecret], workspace: Workspace, say: Callable[[str], None]) -> None:
        self.workspace, self.say = workspace, say
        self.rows: QuerySet[Any] = with_head(
            model.objects.with_scopes_disabled().filter(workspace_id=workspace.pk, ciphertext__isnull=False)
        ).order_by("pk")
        self.moved, self._told_at = 0, time.monotonic()
        self.unopened: dict[UUID, str] = {}
        self.locked: list[str] = []

    def run(self) -> None:
        """Go over the table until nothing is left but what does not open or what others keep locked."""
        if not self.rows.exists():
            return
        patient_until = time.monotonic() + PATIENCE_SECONDS
        while True:
            before = self.moved
            self._go_over()
            left = self._under_others(current_cipher(self.workspace.pk)).exclude(pk__in=list(self.unopened))
            if not left.exists():
                return
            if self.moved > before:
                patient_until = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > patient_until:
                self.locked = [name_of(row, self.workspace) for row in left]
                return
            time.sleep(0.1)  # others' transactions are short

    def _go_over(self) -> None:
        after: UUID | None = UUID(int=0)
        while after is not None:
            after = self._move_batch(after)
            if time.monotonic() - self._told_at > TELL_SECONDS:
                self._told_at = time.monotonic()
                kind = self.rows.model._meta.verbose_name_plural
                self.say(f"{self.workspace.slug}: {self.moved:,} {kind} encrypted anew so far")

    @transaction.atomic
    def _move_batch(self, after: UUID) -> UUID | None:
        """Move the next rows; answers where to go on, None at the end."""
        cipher = current_cipher(self.workspace.pk)
        others = self._under_others(cipher).filter(pk__gt=after)
        rows = list(others.select_for_update(skip_locked=True, no_key=True)[:BATCH])
        made = [(row.pk, sealed) for row in rows if (sealed := self._seal_anew(row, cipher)) is not None]
        self.moved += _write(self.rows.model, self.workspace.pk, made)
        return rows[-1].pk if rows else None

    def _under_others(self, cipher: DataCipher) -> QuerySet[Any]:
        """What another data key encrypted, or a key of the ring itself."""
        return self.rows.exclude(head=cipher.header)

    def _seal_anew(self, row: StoredSecret, cipher: DataCipher) -> bytes | None:
        try:
            clear = open_bytes(row.workspace_id, row.ciphertext or b"", row.bound_to)
        except DecryptionError as error:
            self.unopened[row.pk] = f"{name_of(row, self.workspace)}: {error.detail}"
            return None
        self.unopened.pop(row.pk, None)
        return cipher.encrypt(clear, bound_to=row.bound_to)


def secret_models() -> list[type[StoredSecret]]:
    """Every table that keeps secrets."""
    return [model for model in apps.get_models() if issubclass(model, StoredSecret)]


def name_of(row: StoredSecret, workspace: Workspace) -> str:
    """How the row of a secret is named to the operator."""
    return f"{row._meta.verbose_name} {row.pk} ({row}) of workspace {workspace.slug}"


def with_head(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows of secrets with `head`, the first bytes of the ciphertext, which tell the data key."""
    head = Substr("ciphertext", 1, ENVELOPE_HEADER_BYTES, output_field=BinaryField())
    headed: QuerySet[Any] = rows.annotate(head=head)
    return headed


def _write(model: type[StoredSecret], workspace_id: UUID, made: Sequence[tuple[UUID, bytes]]) -> int:
    """New ciphertexts of rows whose locks the caller holds. When a secret was last changed stays as it is."""
    if not made:
        return 0
    statement = sql.SQL(
        "UPDATE {} AS kept SET ciphertext = made.ciphertext FROM unnest(%s::uuid[], %s::bytea[]) AS made(id, ciphertext)"
        " WHERE kept.id = made.id AND kept.workspace_id = %s"
    ).format(sql.Identifier(model._meta.db_table))
    with connection.cursor() as cursor:
        cursor.execute(statement, [[pk for pk, _ in made], [sealed for _, sealed in made], workspace_id])
        return int(cursor.rowcount)
