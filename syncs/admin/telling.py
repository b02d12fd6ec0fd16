"""What came of asking for runs and of reading a record again, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connections.screen_texts import entity_title
from core.admin_texts import plural
from core.errors import LineshaftError
from syncs.choices import Mode, Trigger
from syncs.models import Record, Sync, SyncRun
from syncs.services import request_run

__all__ = ["counts_line", "refreshed_line", "request_runs"]


def request_runs(syncs: Iterable[Sync], mode: Mode, *, by: str) -> tuple[str, list[str]]:
    """Ask for a run of each. Answers what was begun ("" when nothing was), and why others were not."""
    begun, noted, refused = 0, 0, []
    for sync in syncs:
        try:
            requested = request_run(sync, mode, trigger=Trigger.ADMIN, by=by)
        except LineshaftError as error:
            refused.append(f"{entity_title(sync.entity)} of “{sync.connection.name}”: {error.detail}")
        else:
            begun, noted = begun + requested.is_new, noted + (not requested.is_new)
    parts = []
    if begun:
        parts.append(f"{plural(begun, 'run')} queued.")
    if noted:
        parts.append(f"{plural(noted, 'sync was', 'syncs were')} running already and will do this next.")
    return " ".join(parts), refused


def counts_line(run: SyncRun) -> str:
    """ "1,000 read · 12 new · 3 changed"; what is nothing is left out."""
    named: list[tuple[Any, str]] = [
        (run.created_count, "new"),
        (run.updated_count, "changed"),
        (run.deleted_count, "deleted"),
        (run.quarantined_count, "quarantined"),
    ]
    return " · ".join([f"{run.read_count:,} read", *(f"{count:,} {name}" for count, name in named if count)])


def refreshed_line(before: Record, after: Record, *, is_gone: bool) -> str:
    """What reading one record again found, by the copy before and after it."""
    if is_gone:
        return "The system no longer has it; the copy keeps it as deleted."
    if before.deleted_at is not None and after.deleted_at is None:
        return f"The system has it again: the copy is at version {after.version} now."
    if before.version == after.version:
        return "It was read again: nothing has changed."
    return f"It was read again and had changed: the copy is at version {after.version} now."
