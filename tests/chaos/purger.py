"""A process that purges deleted connections until none is left, and kills itself at a named point.

python -m tests.chaos.purger [POINT SIGNAL [OCCURRENCE]]
"""

from __future__ import annotations

import os
import sys
import time

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django_scopes import scopes_disabled  # noqa: E402

from connections.models import Connection  # noqa: E402
from syncs.services import purging  # noqa: E402
from syncs.ticks import purge_deleted_connections  # noqa: E402
from tests.chaos.traps import Set, after, set_trap  # noqa: E402

POINTS: dict[str, Set] = {
    "inside_batch": lambda trap: after(purging, "_remove", trap),
    "inside_end": lambda trap: after(purging, "_finish", trap),
}


def main() -> None:
    set_trap(POINTS, sys.argv[1:])
    print("ready", flush=True)
    with scopes_disabled():
        waiting = Connection.objects.filter(purge_requested_at__isnull=False)
    while waiting.exists():
        if not purge_deleted_connections():
            time.sleep(0.05)


main()
