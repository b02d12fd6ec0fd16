"""`manage.py create_token`: a token for a service."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope, scopes_disabled

from core import ids
from core.errors import LineshaftError
from workspaces.audit import acting, command_actor
from workspaces.choices import USUAL_SCOPES, Environment
from workspaces.management.finding import expiry_in
from workspaces.management.telling import TARGETS, tell_token
from workspaces.models import ApiToken, Workspace
from workspaces.scopes import known_scopes
from workspaces.tokens import create_kept_token, create_token


class Command(BaseCommand):
    """Make a token and print it, the only time it can be seen, or write it where it belongs and print nothing of it."""

    help = (
        "Create an API token and print it once. Only the token goes to standard output, ready for a pipe. With --to it is"
        " written straight to a secrets manager or file and not printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workspace", help="slug or id (ws_...)")
        parser.add_argument("name", help="what it is for, and where it is kept")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--scope",
            action="append",
            choices=known_scopes(),
            metavar="SCOPE",
            help="what it may do, e.g. records:read or records.purchase_order:read; repeat for more",
        )
        which.add_argument(
            "--all-scopes", action="store_true", help="all but raw calls (passthrough:*), which must be named"
        )
        parser.add_argument("--environment", choices=Environment.values, default=Environment.LIVE.value)
        parser.add_argument("--expires-days", type=int, metavar="N", help="refused after N days")
        parser.add_argument("--connection", metavar="ID", help="sees this connection alone (con_...)")
        parser.add_argument("--network", action="append", default=[], help="CIDR network it may be used from; repeat")
        parser.add_argument("--to", metavar="TARGET", help=f"write it there: {TARGETS}")
        parser.add_argument("--json", action="store_true", help="print the token with all its facts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = find_workspace(options["workspace"])
        facts = {
            "workspace": workspace,
            "name": options["name"],
            "scopes": USUAL_SCOPES if options["all_scopes"] else options["scope"],
            "environment": options["environment"],
            "connection_id": _connection_id(options["connection"]),
            "expires_at": expiry_in(options["expires_days"]),
            "allowed_networks": options["network"],
            "created_by": "manage.py create_token",
        }
        try:
            with scope(workspace=workspace.pk), acting(command_actor("create_token")):
                token, clear = _create(facts, to=options["to"])
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        tell_token(self, token, clear, as_json=options["json"])


def _create(facts: dict[str, Any], *, to: str | None) -> tuple[ApiToken, str | None]:
    return create_token(**facts) if to is None else (create_kept_token(to=to, **facts), None)


def find_workspace(text: str) -> Workspace:
    """The workspace with this slug or shown id."""
    value = ids.read(Workspace.PREFIX, text)
    with scopes_disabled():
        rows = Workspace.objects.filter(pk=value) if value else Workspace.objects.filter(slug=text)
        workspace: Workspace | None = rows.first()
    if workspace is None:
        raise CommandError(f"There is no workspace {text}; `manage.py create_workspace` makes one.")
    return workspace


def _connection_id(text: str | None) -> UUID | None:
    value = ids.read("con", text) if text else None
    if text and value is None:
        raise CommandError("--connection takes an id such as con_ and 32 hex digits.")
    return value
