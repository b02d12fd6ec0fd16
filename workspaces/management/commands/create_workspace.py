"""`manage.py create_workspace`: a new tenant."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from core import ids
from core.errors import LineshaftError
from workspaces.management.acting import ActingCommand
from workspaces.models import Workspace
from workspaces.services import create_workspace


class Command(ActingCommand):
    """Make a workspace and print its id."""

    help = "Create a workspace; with --owner an existing user becomes its owner and may enter the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="shown to people")
        parser.add_argument("--slug", default="", help="short name for commands; made from the name unless given")
        parser.add_argument("--owner", metavar="USERNAME", help="an existing user who shall own it")
        parser.add_argument("--json", action="store_true", help="print id, slug and name as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = _user(options["owner"]) if options["owner"] else None
        try:
            workspace = create_workspace(name=options["name"], slug=options["slug"], owner=owner)
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        shown = ids.show(Workspace.PREFIX, workspace.pk)
        if options["json"]:
            self.stdout.write(json.dumps({"id": shown, "slug": workspace.slug, "name": workspace.name}))
            return
        self.stdout.write(f"{shown} {workspace.slug}")


def _user(name: str) -> Any:
    try:
        return get_user_model()._default_manager.get_by_natural_key(name)
    except get_user_model().DoesNotExist as error:
        raise CommandError(f"There is no user {name}; make one with `manage.py createsuperuser`.") from error
