"""`manage.py delete_connection`: a connection and everything of it goes."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scope

from connections.models import Connection
from connections.services import delete_connection
from core import ids
from syncs.management.finding import find_connection
from syncs.services.purging import purge_batch
from workspaces.management.acting import ActingCommand

BUSY_SECONDS = 0.2
BUSY_LIMIT_SECONDS = 60.0


class Command(ActingCommand):
    """Delete a connection, and purge its data now if wanted."""

    help = (
        "Delete a connection with its secrets and everything copied from its system. It asks for the connection's name"
        " first. The running ticks purge the data within minutes; with --now this command does it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("connection", help="id (con_...) or exact name")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--now", action="store_true", help="purge the data here, and end when it is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = find_connection(options["connection"])
        shown, name = ids.show(Connection.PREFIX, connection.pk), connection.name
        if not options["yes"] and input(f"Type the name of {shown} to delete it and all of its data: ") != name:
            raise CommandError(f"Nothing was deleted: {shown} is named {name!r}.")
        delete_connection(connection, by="manage.py delete_connection")
        if not options["now"]:
            self.stdout.write(f"{shown} is deleted; the ticks purge its data within minutes.")
            return
        with scope(workspace=connection.workspace_id):
            _purge(connection)
        self.stdout.write(f"{shown} is deleted and its data is purged; the audit log has the receipt.")


def _purge(connection: Connection) -> None:
    """Until the row is gone. A tick may be at it too: that is waited for, but not for ever."""
    give_up_at = time.monotonic() + BUSY_LIMIT_SECONDS
    while Connection.objects.filter(pk=connection.pk).exists():
        if purge_batch(connection.pk):
            give_up_at = time.monotonic() + BUSY_LIMIT_SECONDS
        elif time.monotonic() > give_up_at:
            raise CommandError(
                f"Something else has held the connection for {BUSY_LIMIT_SECONDS:.0f} s. It is deleted for everybody; the"
                " ticks go on purging its data."
            )
        else:
            time.sleep(BUSY_SECONDS)
