"""What a token sees of syncs: those of its workspace and environment, of its one connection when it has one.

What is not visible does not exist (404).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request

from connections.models import Connection
from connections.views import HEADER, find_connection, no_such_connection, visible_connections
from core import ids
from core.api_errors import NotFoundHereError
from core.parameters import text_from, wrong_parameter
from syncs.models import Sync, SyncRun
from workspaces.models import ApiToken


def syncs_of(token: ApiToken) -> Any:
    """The visible syncs."""
    rows = Sync.objects.filter(workspace_id=token.workspace_id, connection__environment=token.environment)
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def runs_of(token: ApiToken) -> Any:
    """The visible runs, with their syncs."""
    rows = SyncRun.objects.filter(workspace_id=token.workspace_id, connection__environment=token.environment)
    rows = rows.select_related("sync")
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def find_sync(token: ApiToken, shown_id: str) -> Sync:
    """The visible sync with this id."""
    found: Sync = _find(syncs_of(token), Sync.PREFIX, shown_id, "sync")
    return found


def find_run(token: ApiToken, shown_id: str) -> SyncRun:
    """The visible run with this id."""
    found: SyncRun = _find(runs_of(token), SyncRun.PREFIX, shown_id, "sync run")
    return found


def asked_connection(token: ApiToken, request: Request) -> UUID | None:
    """The connection a list is limited to, by `?connection=` or the header; 404 when it is not visible."""
    header, parameter = request.headers.get(HEADER), text_from(request, "connection")
    if header and parameter and header != parameter:
        raise wrong_parameter("connection", f"names another connection than {HEADER}")
    named = header or parameter
    if not named:
        return None
    value = ids.read(Connection.PREFIX, named)
    if value is None or not visible_connections(token).filter(pk=value).exists():
        raise no_such_connection()
    return value


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
