"""`manage.py import_flow`: a flow from a file, bound and published if told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django_scopes import scope

from core import ids
from core.errors import LineshaftError
from core.json import loads_strict
from flows.management.telling import refused
from flows.models import Flow
from flows.services.editing import create_flow, import_flow, publish
from workspaces.management.acting import ActingCommand
from workspaces.management.commands.create_token import find_workspace
from workspaces.models import Workspace

BY = "manage.py import_flow"


class Command(ActingCommand):
    """Make a flow of an export or a definition, by the services the API uses."""

    help = "Create a flow from a file: what export_flow wrote, or a definition alone. Prints its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workspace", help="slug or id (ws_...)")
        parser.add_argument("file", help="JSON: an export or a definition")
        parser.add_argument("--environment", choices=("live", "test"), default="live")
        parser.add_argument("--name", help="instead of its own")
        parser.add_argument(
            "--bind", action="append", default=[], metavar="NAME=ID", help="a connection (con_...); repeat for more"
        )
        parser.add_argument("--publish", action="store_true", help="let it run")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace, content = find_workspace(options["workspace"]), _read(options["file"])
        facts = {"bindings": _bindings(options["bind"]), **({"name": options["name"]} if options["name"] else {})}
        try:
            with scope(workspace=workspace.pk), transaction.atomic():
                flow = _make(workspace, options["environment"], content, facts)
                if options["publish"]:
                    publish(flow, by=BY)
        except LineshaftError as error:
            raise refused(error) from error
        self.stdout.write(str(ids.show(Flow.PREFIX, flow.pk)))


def _make(workspace: Workspace, environment: str, content: dict[str, Any], facts: dict[str, Any]) -> Flow:
    if "lineshaft_flow" in content:
        return import_flow(workspace, environment, content, by=BY, **facts)
    facts = {"name": content.get("title") or "", **facts}
    return create_flow(workspace, environment, definition=content, by=BY, **facts)


def _read(path: str) -> dict[str, Any]:
    try:
        content = loads_strict(Path(path).read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except LineshaftError as error:
        raise CommandError(f"{path}: {error.detail}") from error
    if not isinstance(content, dict):
        raise CommandError(f"{path} must hold a JSON object.")
    return content


def _bindings(pairs: list[str]) -> dict[str, str]:
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(found.values()):
        raise CommandError("--bind takes NAME=con_..., e.g. --bind erp=con_0193...")
    return found
