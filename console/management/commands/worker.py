"""`manage.py worker QUEUE`: a Celery worker of one queue."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from celery import current_app
from celery.exceptions import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from console.alive import alive_step
from console.management.checkup import QUEUES

# A sync may take minutes, a write has somebody waiting: where both want the same processor, the write goes first.
SYNC_NICENESS = 10


class Command(BaseCommand):
    """Work on the hints of one queue until SIGTERM or Ctrl-C."""

    help = "Run a worker. Start at least one for each queue; any number may run, on any number of machines."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queue", choices=QUEUES)
        parser.add_argument("--concurrency", type=int, default=2, help="tasks at the same time (default 2)")
        parser.add_argument("--alive-file", type=Path, metavar="PATH", help="touched while it hears the broker")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["alive_file"]:
            current_app.steps["consumer"].add(alive_step(options["alive_file"]))
        if not settings.PRODUCTION:
            # A demo may well run as root; that our tasks carry ids only is what makes it harmless.
            warnings.filterwarnings("ignore", category=SecurityWarning)
        if options["queue"] == "sync":
            os.nice(SYNC_NICENESS)
        queue = settings.REDIS_PREFIX + options["queue"]
        arguments = ["--queues", queue, "--hostname", f"{queue}@%h", "--concurrency", str(options["concurrency"])]
        # Workers tell each other nothing: rows and hints are all they share.
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        # Celery's own option overrides Django's settings: pass on the level that was chosen.
        code: int | None = current_app.worker_main(
            ["--quiet", "worker", *arguments, *quiet, "--loglevel", settings.LOG_LEVEL]
        )
        if code:
            raise SystemExit(code)
