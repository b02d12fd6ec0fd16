"""`manage.py scan_tokens`: tokens that leaked into files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django_scopes import scope

from core import ids
from workspaces import tokens
from workspaces.audit import acting, command_actor
from workspaces.choices import TokenStatus
from workspaces.models import ApiToken
from workspaces.tokens.scanning import Found, find_tokens, known_tokens

UNKNOWN, UNCHECKED = "unknown here", "not looked up"


class Command(BaseCommand):
    """Find tokens in files, say which of them work, and end them if told to."""

    help = (
        "Find API tokens in files and folders by their form and checksum, and say whether each works. Ends with 1 when an"
        " active one was found, or one that could not be looked up. Shows the public part of a token only."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="+", type=Path, help="file or folder; .git and symbolic links are left out")
        parser.add_argument("--offline", action="store_true", help="ask no database; every token found counts")
        parser.add_argument("--revoke", action="store_true", help="revoke the active ones that were found")

    def handle(self, *args: Any, **options: Any) -> None:
        paths, offline = options["path"], options["offline"]
        if offline and options["revoke"]:
            raise CommandError("--revoke needs the database; leave --offline out.")
        for path in paths:
            if path.is_symlink() or not path.exists():
                raise CommandError(f"{path} is not there, or is a symbolic link: name the file or folder itself.")
        found = list(find_tokens(paths, unreadable=self._tell_unreadable))
        known = None if offline or not found else self._look_up(found)
        if known is None and found and options["revoke"]:
            raise CommandError("The database does not answer, so nothing was revoked.")
        states = [self._tell(one, known) for one in found]
        if options["revoke"]:
            self._revoke(known or {})
        self.stderr.write(f"{len(found)} found." if found else "No tokens found.")
        if TokenStatus.ACTIVE in states or UNCHECKED in states:
            sys.exit(1)

    def _look_up(self, found: list[Found]) -> dict[str, ApiToken] | None:
        try:
            return known_tokens(one.clear for one in found)
        except DatabaseError as error:
            self.stderr.write(f"The database does not answer ({type(error).__name__}): no token was looked up.")
            return None

    def _tell(self, one: Found, known: dict[str, ApiToken] | None) -> str:
        token = (known or {}).get(one.clear)
        state = str(tokens.status_of(token)) if token is not None else UNCHECKED if known is None else UNKNOWN
        facts = f' "{token.name}" ({_shown(token)}, workspace {token.workspace.slug})' if token is not None else ""
        self.stdout.write(f"{one.path}:{one.line}: {one.clear[: len('lsh_live_') + len(one.key)]}_... {state}{facts}")
        return state

    def _revoke(self, known: dict[str, ApiToken]) -> None:
        for token in known.values():
            if tokens.status_of(token) != TokenStatus.ACTIVE:
                continue
            with scope(workspace=token.workspace_id), acting(command_actor("scan_tokens")):
                tokens.revoke_token(token=token, revoked_by="manage.py scan_tokens")
            self.stdout.write(f"{_shown(token)} is revoked.")

    def _tell_unreadable(self, path: Path, error: OSError) -> None:
        self.stderr.write(f"{path}: cannot be read ({error.strerror or type(error).__name__}).")


def _shown(token: ApiToken) -> str | None:
    return ids.show(ApiToken.PREFIX, token.pk)
