"""Replacing keys while everybody works.

What is left to do is seen from the rows alone: a data key says which key of the ring wrapped it, a ciphertext which data
key made it. So a rotation that was killed is finished by starting another, and two at once share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from core.encryption import DecryptionError, envelope_header, key_id_of
from core.keys import default_ring
from workspaces import audit
from workspaces.data_keys import new_data_key, unwrap
from workspaces.models import DataKey, Workspace
from workspaces.reencryption import Move, secret_models, with_head

GRACE = timedelta(hours=1)
"""A replaced data key stays this long: somebody may still hold a row in memory that was encrypted with it."""


@dataclass
class Rotation:
    """What a rotation did, in numbers; `problems` name rows, never what they hold."""

    wrapped: int = 0
    made: int = 0
    encrypted: int = 0
    deleted: int = 0
    waiting: int = 0
    problems: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """For the audit log."""
        return {
            "data_keys_wrapped_anew": self.wrapped,
            "data_keys_made": self.made,
            "data_keys_deleted": self.deleted,
            "secrets_encrypted_anew": self.encrypted,
            "problems": len(self.problems),
        }


def rotate_keys(
    *, workspace: Workspace | None, make_data_keys: bool, delete_now: bool, say: Callable[[str], None]
) -> Rotation:
    """Wrap data keys with the ring's first key, move secrets to their workspace's current data key, delete unused ones.

    With `make_data_keys` each workspace gets a new current data key first. `workspace` limits all of it to one.
    `delete_now` deletes replaced data keys without waiting for GRACE.
    """
    done = Rotation()
    _wrap_anew(done, workspace)
    if done.wrapped:
        say(f"{done.wrapped:,} data keys wrapped anew with the ring's key {default_ring().current_id}")
    every = [workspace] if workspace else list(Workspace.objects.with_scopes_disabled().order_by("pk"))
    for one in every:
        done.made += make_data_keys and _replace(one.pk)
        _move_secrets(done, one, say)
    _delete_unused(done, workspace, delete_now)
    audit.record("keys.rotated", workspace_id=workspace.pk if workspace else None, details=done.counts())
    return done


def _data_keys(workspace: Workspace | None) -> QuerySet[DataKey]:
    rows: QuerySet[DataKey] = DataKey.objects.with_scopes_disabled().select_related("workspace").order_by("pk")
    return rows.filter(workspace=workspace) if workspace else rows


def _wrap_anew(done: Rotation, workspace: Workspace | None) -> None:
    """One write for each data key; one that somebody else wrapped meanwhile is left as it is."""
    ring = default_ring()
    for row in _data_keys(workspace):
        try:
            if key_id_of(row.wrapped) == ring.current_id:
                continue
            wrapped = ring.encrypt(unwrap(row, ring), bound_to=row.bound_to)
        except DecryptionError as error:
            done.problems.append(f"data key {row.pk} of workspace {row.workspace.slug}: {error.detail}")
            continue
        same = DataKey.objects.with_scopes_disabled().filter(pk=row.pk, wrapped=row.wrapped)
        done.wrapped += same.update(wrapped=wrapped, wrapped_at=Now())


@transaction.atomic
def _replace(workspace_id: UUID) -> bool:
    """Give the workspace a new current data key, unless it has none, or got one within GRACE: then a rotation goes on."""
    keys = DataKey.objects.with_scopes_disabled().filter(workspace_id=workspace_id)
    current = keys.filter(is_current=True).select_for_update(no_key=True).first()
    if current is None:
        return False
    if _is_young(workspace_id) and keys.filter(is_current=False).exists():
        return False
    keys.filter(pk=current.pk).update(is_current=False)
    made = new_data_key(workspace_id)
    made.save(force_insert=True)
    details = {"replaced": str(current.pk)}
    audit.record("data_key.replaced", workspace_id=workspace_id, about=("data_key", str(made.pk)), details=details)
    return True


def _is_young(workspace_id: UUID) -> bool:
    """Whether the current data key was made within GRACE, so that the one before was replaced no earlier."""
    keys = DataKey.objects.with_scopes_disabled().filter(workspace_id=workspace_id, is_current=True)
    return not keys.filter(created_at__lte=Now() - GRACE).exists()


def _move_secrets(done: Rotation, workspace: Workspace, say: Callable[[str], None]) -> None:
    for model in secret_models():
        move = Move(model, workspace, say)
        try:
            move.run()
        except DecryptionError as error:
            done.problems.append(f"{model._meta.verbose_name_plural} of workspace {workspace.slug}: {error.detail}")
        done.encrypted += move.moved
        done.problems += move.unopened.values()
        done.problems += [f"{name}: locked by another session all the time; run this again" for name in move.locked]


def _delete_unused(done: Rotation, workspace: Workspace | None, delete_now: bool) -> None:
    """Delete replaced data keys that no secret needs. Whoever encrypts with one right now holds its row: it is left."""
    for row in _data_keys(workspace).filter(is_current=False):
        if _is_used(row):
            continue
        if not delete_now and _is_young(row.workspace_id):
            done.waiting += 1
            continue
        done.deleted += _delete(row)


@transaction.atomic
def _delete(row: DataKey) -> bool:
    held = DataKey.objects.with_scopes_disabled().filter(pk=row.pk, workspace_id=row.workspace_id, is_current=False)
    if not list(held.select_for_update(skip_locked=True)) or _is_used(row):
        return False
    return bool(held.delete()[0])


def _is_used(key: DataKey) -> bool:
    header = envelope_header(key.pk)
    rows = (model.objects.with_scopes_disabled().filter(workspace_id=key.workspace_id) for model in secret_models())
    return any(with_head(one).filter(head=header).exists() for one in rows)
