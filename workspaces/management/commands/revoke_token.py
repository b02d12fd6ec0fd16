"""`manage.py revoke_token`: the end of a token."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django_scopes import scope

from core import ids
from workspaces.audit import acting, command_actor
from workspaces.management.finding import find_token
from workspaces.models import ApiToken
from workspaces.tokens import revoke_token


class Command(BaseCommand):
    """Refuse a token from now on."""

    help = "Revoke an API token by its id (tok_...) or by its public part (the 12 characters after lsh_live_)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="tok_..., or the public part of the token")

    def handle(self, *args: Any, **options: Any) -> None:
        token = find_token(options["id"])
        with scope(workspace=token.workspace_id), acting(command_actor("revoke_token")):
            revoked = revoke_token(token=token, revoked_by="manage.py revoke_token")
        shown = ids.show(ApiToken.PREFIX, token.pk)
        self.stdout.write(f"{shown} is revoked." if revoked else f"{shown} was revoked before.")
