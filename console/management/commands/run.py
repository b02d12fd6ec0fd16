"""`manage.py run`: the whole platform on this machine."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from console.processes import Processes, stoppable
from console.running import listening, only_one, start_platform, wait_until_ready

LOOK_SECONDS = 0.5


class Command(BaseCommand):
    """Migrate, then run web, workers and tick until Ctrl-C."""

    help = "Run web, one worker a queue and the tick; what dies is started again. Ctrl-C or SIGTERM stops all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="default 8000; the next free one when it is taken")

    def handle(self, *args: Any, **options: Any) -> None:
        with stoppable():
            try:
                self._run(options["port"])
            except KeyboardInterrupt:
                self.say("Stopped.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _run(self, port: int) -> None:
        with only_one():
            call_command("migrate", interactive=False, verbosity=0)
            if settings.PRODUCTION:
                call_command("collectstatic", interactive=False, verbosity=0)
            with listening(port, self.say) as listener, Processes(self.say) as processes:
                address = start_platform(processes, listener, logs=None)
                wait_until_ready(processes, listener)
                self._welcome(address)
                while True:
                    processes.look_after()
                    time.sleep(LOOK_SECONDS)

    def _welcome(self, address: str) -> None:
        self.say(
            f"\nLineshaft runs.\n"
            f"  Admin      {address}/admin/  (an account: manage.py createsuperuser)\n"
            f"  API        {address}/api/v1/  (a token: manage.py create_workspace, then manage.py create_token)\n"
            f"  API docs   {address}/api/docs\n"
            f"Ctrl-C stops it.\n"
        )
