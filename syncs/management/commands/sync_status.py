"""`manage.py sync_status`: how fresh the copies are."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope, scopes_disabled
from rich.markup import escape
from rich.table import Table

from connections.models import Connection
from core.json import dumps, utc_text
from syncs.bodies import status_body
from syncs.choices import SyncState
from syncs.management.finding import find_connection
from syncs.management.printing import print_table
from syncs.services import sync_status
from workspaces.models import Workspace

STYLES = {
    SyncState.COMPLETED: "green",
    SyncState.IN_PROGRESS: "cyan",
    SyncState.FAILED: "red",
    SyncState.NEEDS_REAUTH: "red",
    SyncState.NEEDS_REVIEW: "yellow",
}


class Command(BaseCommand):
    """Show the sync status of a connection, a workspace or everything."""

    help = "Show how syncs are doing. --json prints what GET /api/v1/sync-status answers."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("connection", nargs="?", help="id (con_...) or exact name; all connections without it")
        which.add_argument("--workspace", metavar="SLUG", help="all connections of this workspace")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["connection"]:
            connection = find_connection(options["connection"])
            with scope(workspace=connection.workspace_id):
                bodies = [status_body(status) for status in sync_status([connection])]
        else:
            bodies = _all(options["workspace"])
        if options["json"]:
            one = bool(options["connection"])
            self.stdout.write(dumps(bodies[0] if one else {"data": bodies, "next_cursor": None}))
            return
        print_table(_table(bodies), self.stdout)


def _all(slug: str | None) -> list[dict[str, Any]]:
    with scopes_disabled():
        rows = Connection.objects.kept().order_by("pk")
        if slug is not None:
            workspace = Workspace.objects.filter(slug=slug).first()
            if workspace is None:
                raise CommandError(f"There is no workspace {slug}.")
            rows = rows.filter(workspace=workspace)
        return [status_body(status) for status in sync_status(list(rows))]


def _table(bodies: list[dict[str, Any]]) -> Table:
    table = Table("connection", "entity", "status", "last success", "next run", "read", "set aside", "trouble")
    for body in bodies:
        name = escape(body["connection_name"])
        for error in body["errors"]:
            if error["entity"] is None:
                table.add_row(name, "", _state(body["status"]), "", "", "", "", escape(error["message"]))
        for entity in body["entities"]:
            table.add_row(name, *_cells(entity))
        if not body["entities"] and not body["errors"]:
            table.add_row(name, "", _state(body["status"]))
    return table


def _cells(entity: dict[str, Any]) -> list[str]:
    progress, counted = entity["progress"], entity["counts"] or {}
    done = f"{progress['done']}/{progress['total'] or '?'}" if progress else str(counted.get("read", ""))
    return [
        entity["entity"],
        _state(entity["status"]) + (" [yellow]stale[/]" if entity["stale"] else ""),
        _moment(entity["last_successful_sync_at"]),
        _moment(entity["next_scheduled_sync_at"]),
        done,
        str(counted.get("quarantined", "")),
        escape(entity["error"]["message"]) if entity["error"] else "",
    ]


def _state(state: str) -> str:
    style = STYLES.get(SyncState(state))
    return f"[{style}]{state}[/]" if style else state


def _moment(value: Any) -> str:
    return utc_text(value.replace(microsecond=0)) if value else ""
