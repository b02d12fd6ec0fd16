"""The base of commands that change something."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from workspaces import audit


class ActingCommand(BaseCommand):
    """What it records was done by whoever runs it: `alice: manage.py create_workspace`."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        name = type(self).__module__.rpartition(".")[2]
        with audit.acting(audit.command_actor(name)):
            return super().execute(*args, **options)
