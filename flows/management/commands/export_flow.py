"""`manage.py export_flow`: a flow as JSON, to be kept or carried elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope

from flows.management.finding import find_flow
from flows.services.editing import export_flow


class Command(BaseCommand):
    """Print or write what `import_flow` and the API take."""

    help = "Export a flow's draft as JSON: without connections and secrets, which stay here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow", help="id (flow_...) or exact name")
        parser.add_argument("--to", metavar="FILE", help="write it there; it may not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        flow = find_flow(options["flow"])
        with scope(workspace=flow.workspace_id):
            text = orjson.dumps(export_flow(flow), option=orjson.OPT_INDENT_2).decode()
        if options["to"] is None:
            self.stdout.write(text)
            return
        try:
            with Path(options["to"]).open("x", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            raise CommandError(f"{options['to']} was not written: {error.strerror}.") from error
