"""`manage.py run_flow`: start a run of a flow, and see how it ends."""

from __future__ import annotations

import threading
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scope
from rich.markup import escape
from rich.table import Table

from core.errors import LineshaftError
from core.json import dumps, loads_strict
from flows.bodies import run_detail, step_body
from flows.choices import UNENDED, FlowRunStatus, WaitsFor
from flows.engine.run import execute_flow_run
from flows.management.finding import find_flow
from flows.management.telling import refused
from flows.models import Flow, FlowRun, StepRun
from flows.services.starting import run_by_hand
from flows.services.testing import Use, dry_run
from syncs.engine.outcomes import now
from syncs.management.printing import print_table
from workspaces.management.acting import ActingCommand

BY = "manage.py run_flow"
POLL_SECONDS = 0.5


class Command(ActingCommand):
    """Start a run by hand, by the service the button uses."""

    help = "Run a flow. Without --wait or --inline the run is only queued; workers do it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow", help="id (flow_...) or exact name")
        parser.add_argument("--body", default="{}", help="JSON that expressions see as trigger.body")
        parser.add_argument("--dry", action="store_true", help="change nothing; with --body as the whole trigger")
        parser.add_argument("--use", choices=("draft", "published"), default="draft", help="of --dry: which definition")
        parser.add_argument("--wait", action="store_true", help="until it has ended; exit code 1 if it failed")
        parser.add_argument("--inline", action="store_true", help="do the work in this process; no worker is needed")
        parser.add_argument("--json", action="store_true", help="print the run with its steps as the API shows them")

    def handle(self, *args: Any, **options: Any) -> None:
        flow, body = find_flow(options["flow"]), _object(options["body"])
        try:
            with scope(workspace=flow.workspace_id):
                run = _start(flow, body, is_dry=options["dry"], use=options["use"])
        except LineshaftError as error:
            raise refused(error) from error
        if options["wait"] or options["inline"]:
            _follow(run, inline=options["inline"])
        self._print(run, as_json=options["json"])
        if (options["wait"] or options["inline"]) and run.status != FlowRunStatus.SUCCEEDED:
            raise CommandError(f"The run is {run.status}.")

    def _print(self, run: FlowRun, *, as_json: bool) -> None:
        with scope(workspace=run.workspace_id):
            shown = FlowRun.objects.select_related("version").get(pk=run.pk)
            steps = [step_body(step) for step in StepRun.objects.filter(run_id=run.pk).order_by("pk")]
            body = run_detail(shown)
        if as_json:
            self.stdout.write(dumps({**body, "steps": steps}))
            return
        self.stdout.write(
            f"{body['id']}: {body['status']}" + (f", {body['error']['message']}" if body["error"] else "")
        )
        table = Table("step", "does", "status", "error")
        for step in steps:
            error = escape(str(step["error"]["message"])) if step["error"] else ""
            table.add_row(escape(step["path"]), step["kind"], step["status"], error)
        if steps:
            print_table(table, self.stdout)


def _start(flow: Flow, body: dict[str, Any], *, is_dry: bool, use: Use) -> FlowRun:
    started = dry_run(flow, body, by=BY, use=use) if is_dry else run_by_hand(flow, body, by=BY)
    run: FlowRun = started.run
    return run


def _follow(run: FlowRun, *, inline: bool) -> None:
    """To its end; a run that waits for a person is left."""
    pause = threading.Event()
    while True:
        if inline:
            execute_flow_run(run.pk)
        with scope(workspace=run.workspace_id):
            run.refresh_from_db()
        if run.status not in UNENDED or run.waits_for == WaitsFor.PERSON:
            return
        pause.wait(min(max((run.due_at - now()).total_seconds(), 0.05), POLL_SECONDS))


def _object(text: str) -> dict[str, Any]:
    try:
        found = loads_strict(text.encode())
    except LineshaftError as error:
        raise CommandError(f"--body: {error.detail}") from error
    if not isinstance(found, dict):
        raise CommandError("--body takes a JSON object.")
    return found
