"""What a token sees of syncs: those of its workspace and environment, of its one connection when it has one.

What is not visible does not exist (404).
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from connections.views import asked_connection, find_connection, visible_connections
from core import ids
from core.api_errors import NotFoundHereError
from syncs.models import Sync, SyncRun
from workspaces.models import ApiToken


def syncs_of(token: ApiToken) -> Any:
    """The visible syncs."""
    rows = Sync.objects.filter(_mine(token))
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def runs_of(token: ApiToken) -> Any:
    """The visible runs, with their syncs."""
    rows = SyncRun.objects.filter(_mine(token)).select_related("sync")
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def _mine(token: ApiToken) -> Q:
    """Of the workspace and environment, and of no connection that was deleted."""
    return Q(
        workspace_id=token.workspace_id,
        connection__environment=token.environment,
        connection__purge_requested_at=None,
    )


def find_sync(token: ApiToken, shown_id: str) -> Sync:
    """The visible sync with this id."""
    found: Sync = _find(syncs_of(token), Sync.PREFIX, shown_id, "sync")
    return found


def find_run(token: ApiToken, shown_id: str) -> SyncRun:
    """The visible run with this id."""
    found: SyncRun = _find(runs_of(token), SyncRun.PREFIX, shown_id, "sync run")
    return found


def _find(rows: Any, prefix: str, shown_id: str, what: str) -> Any:
    value = ids.read(prefix, shown_id)
    found = rows.filter(pk=value).first() if value else None
    if found is None:
        raise NotFoundHereError(f"There is no such {what}.")
    return found


__all__ = [
    "asked_connection",
    "find_connection",
    "find_run",
    "find_sync",
    "runs_of",
    "syncs_of",
    "visible_connections",
]
