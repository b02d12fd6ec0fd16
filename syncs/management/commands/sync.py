"""`manage.py sync`: run a connection's syncs now."""

from __future__ import annotations

import threading
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scope
from rich.markup import escape
from rich.table import Table

from connections.models import Connection
from core.errors import LineshaftError
from core.json import dumps
from integrations.entities import ENTITIES
from syncs.bodies import run_body
from syncs.choices import ACTIVE, Mode, RunStatus, Trigger
from syncs.engine.outcomes import now
from syncs.engine.run import execute_run
from syncs.management.finding import find_connection
from syncs.management.printing import print_table
from syncs.management.watching import POLL_SECONDS, Watch
from syncs.models import SyncRun
from syncs.services import ensure_syncs, request_run
from workspaces.management.acting import ActingCommand

BY = "manage.py sync"


class Command(ActingCommand):
    """Request runs of some or all entities of a connection."""

    help = "Sync a connection now. Without --wait or --inline the runs are only requested; workers do them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("connection", help="id (con_...) or exact name")
        parser.add_argument("--entity", action="append", choices=list(ENTITIES), help="only this one; repeat for more")
        parser.add_argument("--mode", choices=Mode.values, default=Mode.INCREMENTAL.value)
        parser.add_argument("--wait", action="store_true", help="until all runs have ended; exit code 1 if one failed")
        parser.add_argument("--inline", action="store_true", help="do the work in this process; no worker is needed")
        parser.add_argument("--json", action="store_true", help="print the runs as the API shows them")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = find_connection(options["connection"])
        with scope(workspace=connection.workspace_id):
            runs = self._request(connection, options["entity"], Mode(options["mode"]))
        watch = Watch(connection.workspace_id, [run.pk for run in runs], show=not options["json"])
        if options["inline"]:
            with watch.beside():
                for run in runs:
                    _work_on(run)
        elif options["wait"]:
            watch.until_ended()
        runs = watch.look()
        self._print(runs, as_json=options["json"])
        bad = [run for run in runs if run.status in (RunStatus.FAILED, RunStatus.CANCELLED)]
        if bad and (options["wait"] or options["inline"]):
            raise CommandError(f"{len(bad)} of {len(runs)} runs did not complete.")

    def _request(self, connection: Connection, entities: list[str] | None, mode: Mode) -> list[SyncRun]:
        try:
            syncs = {sync.entity: sync for sync in ensure_syncs(connection)}
            missing = [entity for entity in entities or () if entity not in syncs]
            if missing:
                raise CommandError(f"{connection.system} has no {', '.join(missing)}; it has {', '.join(syncs)}.")
            chosen = [sync for sync in syncs.values() if (sync.entity in entities if entities else sync.enabled)]
            requested = [request_run(sync, mode, trigger=Trigger.COMMAND, by=BY) for sync in chosen]
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        for sync, answer in zip(chosen, requested, strict=True):
            if not answer.is_new:
                self.stderr.write(f"{sync.entity}: a run is active already; yours follows when it ends.")
        return [answer.run for answer in requested]

    def _print(self, runs: list[SyncRun], *, as_json: bool) -> None:
        bodies = [run_body(run) for run in runs]
        if as_json:
            self.stdout.write(dumps({"data": bodies}))
            return
        table = Table("entity", "mode", "status", "read", "created", "updated", "deleted", "set aside", "run", "error")
        for body in bodies:
            counted = (str(body["counts"][name]) for name in ("read", "created", "updated", "deleted", "quarantined"))
            error = escape(body["error"]["message"]) if body["error"] else ""
            table.add_row(body["entity"], body["mode"], body["status"], *counted, body["id"], error)
        print_table(table, self.stdout)


def _work_on(run: SyncRun) -> None:
    """Execute a run to its end, waiting where it waits. A worker that took it first is waited for."""
    pause = threading.Event()
    while True:
        execute_run(run.pk)
        with scope(workspace=run.workspace_id):
            run.refresh_from_db()
        if run.status not in ACTIVE:
            return
        pause.wait(min(max((run.due_at - now()).total_seconds(), 0.05), POLL_SECONDS))
