"""`manage.py simulator`: a stand-in of a closed system, to connect to and to break."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.simulators import SIMULATORS, running

_SMALL = 0.1


class Command(BaseCommand):
    """Serve until SIGTERM or SIGINT; the one line on standard output says where, once it is ready."""

    help = "Run a simulator of a closed system over HTTP. For development and tests: it keeps everything in memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=sorted(SIMULATORS), help="which system")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=0, help="default: a free one")
        parser.add_argument("--seed", type=int, default=1, help="the same number makes the same data (default 1)")
        size = parser.add_mutually_exclusive_group()
        size.add_argument("--small", action="store_true", help="a tenth of the data")
        size.add_argument("--records", type=int, metavar="N", help="so many work orders, beside the default rest")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        size = {"scale": _SMALL if options["small"] else 1.0, "records": options["records"]}
        where = {"host": options["host"], "port": options["port"]}
        try:
            with running(options["name"], seed=options["seed"], **where, **size) as simulator:
                ready = {"simulator": simulator.name, "base_url": simulator.base_url, "api_key": simulator.api_key}
                self.stdout.write(json.dumps(ready))
                self.stdout.flush()
                stop.wait()
        except OSError as error:
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {error.strerror}") from error
