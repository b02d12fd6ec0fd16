"""`manage.py tick`: run the platform's repeated duties."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core import ticks


class Command(BaseCommand):
    """Run every duty each second until SIGTERM or Ctrl-C."""

    help = "Run the repeated duties (dispatch, hints, clean-up). Start any number; they share the work."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do each duty once, say what it moved, and stop")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between rounds (default 1)")
        parser.add_argument(
            "--json",
            action="store_true",
            help='print a line for each round: {"moved": {duty: count}, "failed": [duty]}',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            moved = ticks.run_once()
            self.stdout.write(_as_json(moved) if options["json"] else _in_words(moved))
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        ticks.run_until(stop, interval_seconds=options["interval"], report=self._tell if options["json"] else None)

    def _tell(self, moved: dict[str, int]) -> None:
        self.stdout.write(_as_json(moved))
        self.stdout.flush()  # whoever reads a pipe sees each round as it ends


def _failed(moved: dict[str, int]) -> list[str]:
    """Duties that did not end well are missing in what a round moved."""
    return [name for name, _ in ticks.duties() if name not in moved]


def _as_json(moved: dict[str, int]) -> str:
    return json.dumps({"moved": moved, "failed": _failed(moved)})


def _in_words(moved: dict[str, int]) -> str:
    done = [f"{name}: {count or 'nothing to do'}" for name, count in moved.items()]
    return "\n".join([*done, *(f"{name}: failed, see the log" for name in _failed(moved))])
