"""A worker process that executes one run and kills or freezes itself at a named point.

python -m tests.chaos.worker RUN_ID [POINT SIGNAL [OCCURRENCE]]
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from syncs.engine import run as engine  # noqa: E402
from syncs.engine import store  # noqa: E402
from syncs.engine.sweep import Sweep  # noqa: E402
from syncs.engine.writing import PageWriter  # noqa: E402
from tests.chaos.traps import Set, after, before, inside_copy, set_trap  # noqa: E402

POINTS: dict[str, Set] = {
    "before_page": lambda trap: before(PageWriter, "commit_page", trap),
    "inside_copy": inside_copy,
    "holding_locks": lambda trap: after(store, "write_staged", trap),
    "after_page": lambda trap: after(PageWriter, "commit_page", trap),
    "before_sweep": lambda trap: before(Sweep, "judge", trap),
    "inside_sweep": lambda trap: after(store, "bury", trap),
    "after_sweep": lambda trap: after(Sweep, "judge", trap),
}


def main() -> None:
    run_id, *point = sys.argv[1:]
    set_trap(POINTS, point)
    print("ready", flush=True)
    engine.execute_run(UUID(run_id))


main()
