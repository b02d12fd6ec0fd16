"""`manage.py demo`: see it work, with a real ERP."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.demo.accounts import Accounts, prepare_accounts
from console.demo.client import Api, Body
from console.demo.customer import Erp, connect, expected_entities, sync_again
from console.demo.showing import count_records, show_records, show_status, terminal
from console.demo.watching import FirstSync
from console.processes import Processes, stoppable
from console.running import listening, only_one, start_platform, wait_until_ready
from core.errors import LineshaftError
from core.json import dumps
from core.logs import configure

LOOPBACK = "127.0.0.0/8"
LOOK_SECONDS = 0.5


class Command(BaseCommand):
    """Run the platform and a Tryton server, connect the two through the API, and show the first sync."""

    help = "Connect a real Tryton ERP on this machine and sync it. For development; production is never touched."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop when synced; the last line is a result in JSON")
        parser.add_argument("--port", type=int, default=8000, help="default 8000; the next free one when it is taken")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("The demo makes a user with a known password: it runs in development mode only.")
        self._began = time.monotonic()
        # With --once standard output carries the result alone.
        self._console = terminal(sys.stderr if options["once"] else sys.stdout)
        configure(settings.LOG_FORMAT, "WARNING")  # of this process; its children log as usual
        with stoppable():
            try:
                result = self._demo(options["port"], once=options["once"])
            except KeyboardInterrupt:
                self.say("Stopped. The data is kept: `make demo` again goes on with it, `make run` shows it.")
                if options["once"]:
                    raise CommandError("Interrupted before the first sync was complete.", returncode=130) from None
                return
            except LineshaftError as error:
                raise CommandError(f"{error.detail}\n{error.log_detail}".strip()) from error
        self.stdout.write(dumps(result))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)  # commands are to be copied whole

    def _demo(self, port: int, *, once: bool) -> Body:
        with only_one():
            call_command("migrate", interactive=False, verbosity=0)
            accounts = prepare_accounts()
            self.say("Starting Tryton, which plays the customer's ERP (its first start on a machine takes a minute).")
            with _tryton() as erp, listening(port, self.say) as listener, _logs(self.say) as logs:
                with Processes(self.say) as processes:
                    address = start_platform(processes, listener, environment=_reach_loopback(), logs=logs)
                    wait_until_ready(processes, listener)
                    self.say(f"Lineshaft runs at {address}; its log files are in {logs}.")
                    self.say(f"For this demo connections may reach {LOOPBACK}, where Tryton is; by default none may.")
                    result = self._sync(Api(address, accounts.token), erp, processes)
                    if not once:
                        self._welcome(address, accounts, erp)
                        while True:
                            processes.look_after()
                            time.sleep(LOOK_SECONDS)
                return result

    def _sync(self, api: Api, erp: Erp, processes: Processes) -> Body:
        connection, is_new = connect(api, erp)
        shown = f"{connection['name']} ({connection['id']}) as {connection['account']}, {connection['system_version']}"
        self.say(f"{'Connected' if is_new else 'Connected again'}: {shown}. Syncing:")
        first = FirstSync(api, connection["id"], expected_entities(api))
        if not is_new:
            sync_again(api, connection["id"])
        status = first.wait(self._console, processes.look_after)
        show_status(self._console, status)
        show_records(self._console, api, connection["id"])
        return {
            "status": status["status"],
            "systems": [connection["system"]],
            "records": count_records(api, connection["id"], [entity["entity"] for entity in status["entities"]]),
            "seconds": round(time.monotonic() - self._began, 1),
        }

    def _welcome(self, address: str, accounts: Accounts, erp: Erp) -> None:
        self.say(
            f"\nSynced {time.monotonic() - self._began:.0f} s after the start. All keeps running until Ctrl-C.\n"
            f"  Admin      {address}/admin/   sign in as {accounts.user} / {accounts.password}\n"
            f"  API docs   {address}/api/docs\n"
            f"  Token      {accounts.token}\n"
            f"  Try        curl -H 'Authorization: Bearer {accounts.token}' {address}/api/v1/sync-status\n"
            f"  Tryton     {erp.base_url}, database {erp.database}, user {erp.user} / {erp.password}\n"
        )


@contextmanager
def _tryton() -> Iterator[Erp]:
    """A fresh copy of the sandbox ERP, for as long as the demo runs."""
    from sandbox.tryton import running  # not part of the production image

    with running() as server:
        yield server


def _reach_loopback() -> dict[str, str]:
    """The demo's children alone may reach loopback; settings, and every other process, stay as they are."""
    return {"EGRESS_ALLOWED_NETWORKS": ",".join({*settings.EGRESS_ALLOWED_NETWORKS, LOOPBACK})}


@contextmanager
def _logs(say: Any) -> Iterator[Path]:
    """A folder for the output of the children; kept when something failed."""
    folder = Path(tempfile.mkdtemp(prefix="lineshaft-demo-"))
    try:
        yield folder
    except Exception:
        say(f"The log files are kept in {folder}.")
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
