"""What came of asking for runs, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connections.screen_texts import entity_title
from core.admin_texts import plural
from core.errors import LineshaftError
from syncs.choices import Mode, Trigger
from syncs.models import Sync, SyncRun
from syncs.services import request_run

__all__ = ["counts_line", "request_runs"]


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
