"""A process of several workers that ask the system behind one connection, all at once when told to.

python -m tests.chaos.renewing_worker CONNECTION_ID WORKERS [POINT SIGNAL [OCCURRENCE]]

Says "ready" when every worker has opened its connector, waits for a line, and answers one JSON list: what each worker
got, the account's name or the code of its error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.oauth.settings"
django.setup()

from django.db import connection as database  # noqa: E402
from django_scopes import scopes_disabled  # noqa: E402

from connections.models import Connection  # noqa: E402
from connections.services import renewing  # noqa: E402
from connections.services.opening import open_connector  # noqa: E402
from core.errors import LineshaftError  # noqa: E402
from tests.chaos.traps import Set, after, before, set_trap  # noqa: E402
from tests.oauth.connector import OAuthErp  # noqa: E402

POINTS: dict[str, Set] = {
    "claimed": lambda trap: after(renewing, "claim_grant", trap),
    "answered": lambda trap: after(renewing, "get_token", trap),
    "sending": lambda trap: before(renewing, "get_token", trap),
}
# A claim lasts five seconds.
renewing.LEASE_MARGIN_SECONDS, OAuthErp.call_seconds = 1.0, 4.0


class Team:
    """Workers that begin together."""

    def __init__(self, connection: Connection, count: int) -> None:
        self.connection = connection
        self.ready = threading.Barrier(count + 1)
        self.go = threading.Event()
        self.results: list[str] = []
        self.threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self.threads:
            thread.start()
        self.ready.wait(60)

    def run(self) -> list[str]:
        self.go.set()
        for thread in self.threads:
            thread.join()
        return sorted(self.results)

    def _work(self) -> None:
        try:
            with open_connector(self.connection) as connector:
                self.ready.wait(60)
                self.go.wait(60)
                self.results.append(connector.check().account)
        except LineshaftError as error:
            self.results.append(error.code)
        finally:
            database.close()


def main() -> None:
    connection_id, count, *point = sys.argv[1:]
    set_trap(POINTS, point)
    with scopes_disabled():
        connection = Connection.objects.get(pk=UUID(connection_id))
    team = Team(connection, int(count))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(team.run()), flush=True)


if __name__ == "__main__":
    main()
