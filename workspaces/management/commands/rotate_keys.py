"""`manage.py rotate_keys`: new keys for what is stored, while everybody works."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import LineshaftError
from workspaces.audit import acting, command_actor
from workspaces.key_rotation import Rotation, rotate_keys
from workspaces.management.commands.create_token import find_workspace

SHOWN = 50


class Command(BaseCommand):
    """Rotate, tell what was done, and fail when something did not open."""

    help = (
        "Wrap all data keys with the first key of ENCRYPTION_KEYS and finish what an earlier rotation left. May be"
        " killed and started again, and run twice at once. Exit code 1 when a secret does not open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data-keys", action="store_true", help="give every workspace a new data key and encrypt its secrets anew"
        )
        parser.add_argument("--workspace", metavar="SLUG", help="do so for this workspace alone (slug or ws_...)")
        parser.add_argument(
            "--delete-now",
            action="store_true",
            help="delete replaced data keys at once instead of an hour later, when no process can hold an old row",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = find_workspace(options["workspace"]) if options["workspace"] else None
        try:
            with acting(command_actor("rotate_keys")):
                done = rotate_keys(
                    workspace=workspace,
                    make_data_keys=options["data_keys"] or workspace is not None,
                    delete_now=options["delete_now"],
                    say=self.stdout.write,
                )
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        for problem in done.problems[:SHOWN]:
            self.stderr.write(problem)
        self.stdout.write(told(done))
        if done.problems:
            raise CommandError(
                f"{len(done.problems):,} could not be done, see above; `manage.py check_keys` lists all."
            )


def told(done: Rotation) -> str:
    """The last line, in words and numbers."""
    text = (
        f"Wrapped anew: {done.wrapped:,} data keys. Made: {done.made:,} data keys."
        f" Encrypted anew: {done.encrypted:,} secrets. Deleted: {done.deleted:,} data keys."
    )
    if done.waiting:
        text += f" Replaced less than an hour ago, left for a later run to delete: {done.waiting:,} data keys."
    return text
