"""`manage.py revoke_token`: the end of a token."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope, scopes_disabled

from core import ids
from workspaces.models import ApiToken
from workspaces.tokens import revoke_token


class Command(BaseCommand):
    """Refuse a token from now on."""

    help = "Revoke an API token by its id (tok_...) or by its public part (the 12 characters after lsh_live_)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="tok_..., or the public part of the token")

    def handle(self, *args: Any, **options: Any) -> None:
        value = ids.read(ApiToken.PREFIX, options["id"])
        with scopes_disabled():
            rows = ApiToken.objects.filter(pk=value) if value else ApiToken.objects.filter(key=options["id"])
            token = rows.first()
        if token is None:
            raise CommandError(f"There is no token {options['id']}.")
        with scope(workspace=token.workspace_id):
            revoked = revoke_token(token=token, revoked_by="manage.py revoke_token")
        shown = ids.show(ApiToken.PREFIX, token.pk)
        self.stdout.write(f"{shown} is revoked." if revoked else f"{shown} was revoked before.")
