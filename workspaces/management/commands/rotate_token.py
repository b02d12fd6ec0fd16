"""`manage.py rotate_token`: a new token in place of an old one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope

from core import ids
from core.admin_texts import absolute
from core.errors import LineshaftError
from workspaces.audit import acting, command_actor
from workspaces.choices import Overlap
from workspaces.management.finding import expiry_in, find_token
from workspaces.management.telling import TARGETS, tell_token
from workspaces.models import ApiToken
from workspaces.tokens import rotate_kept_token, rotate_token

OVERLAPS = {"0": Overlap.NONE, "1h": Overlap.HOUR, "24h": Overlap.DAY, "7d": Overlap.WEEK}


class Command(BaseCommand):
    """Replace a token; both work until the overlap is over."""

    help = (
        "Rotate an API token: a new one that may do the same is printed once, or with --to written straight to a secrets"
        " manager or file. The old one works on for the overlap."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="tok_..., or the public part of the token")
        parser.add_argument("--overlap", choices=OVERLAPS, required=True, help="how long the old token works on")
        parser.add_argument(
            "--expires-days", type=int, metavar="N", help="the new one is refused after N days; else it lives as long"
        )
        parser.add_argument("--to", metavar="TARGET", help=f"write it there: {TARGETS}")
        parser.add_argument("--json", action="store_true", help="print the new token with all its facts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        token = find_token(options["id"])
        facts = {
            "token": token,
            "overlap_seconds": OVERLAPS[options["overlap"]].value,
            "by": "manage.py rotate_token",
            "expires_at": expiry_in(options["expires_days"]),
        }
        try:
            with scope(workspace=token.workspace_id), acting(command_actor("rotate_token")):
                new, clear = _rotate(facts, to=options["to"])
                tell_token(self, new, clear, as_json=options["json"])
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        self.stderr.write(_old_one(token, has_new_place=options["to"] is not None))


def _rotate(facts: dict[str, Any], *, to: str | None) -> tuple[ApiToken, str | None]:
    return rotate_token(**facts) if to is None else (rotate_kept_token(to=to, **facts), None)


def _old_one(token: ApiToken, *, has_new_place: bool) -> str:
    """When the old token ends, and where it still stands."""
    shown = ids.show(ApiToken.PREFIX, token.pk)
    if token.revoked_at is not None or token.expires_at is None:
        ends = f"The old one, {shown}, is refused from now on."
    else:
        ends = f"The old one, {shown}, works until {absolute(token.expires_at)}."
    if token.kept_at and not has_new_place:
        ends += f" It stands at {token.kept_at}: put the new one there."
    return ends
