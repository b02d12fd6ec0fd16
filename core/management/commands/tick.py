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
        parser.add_argument("--once", action="store_true", help="do each duty once and stop")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between rounds (default 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(json.dumps(ticks.run_once()))
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        ticks.run_until(stop, interval_seconds=options["interval"])
