"""A worker process that executes one operation and kills or freezes itself at a named point.

python -m tests.chaos.operation_worker OPERATION_ID [POINT SIGNAL [OCCURRENCE]]
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from syncs.engine import store  # noqa: E402
from syncs.operations import outcomes  # noqa: E402
from syncs.operations.attempt import Attempt  # noqa: E402
from syncs.operations.execute import execute_operation  # noqa: E402
from tests.chaos.connector import ChaosMaintainX  # noqa: E402
from tests.chaos.traps import Set, after, before, inside_copy, set_trap  # noqa: E402

POINTS: dict[str, Set] = {
    "claimed": lambda trap: before(Attempt, "_go", trap),
    "before_intent": lambda trap: before(outcomes, "begin_sending", trap),
    "after_intent": lambda trap: after(outcomes, "begin_sending", trap),
    "sent": lambda trap: after(ChaosMaintainX, "send_call", trap),
    "answered": lambda trap: after(outcomes, "answered", trap),
    "polled": lambda trap: after(ChaosMaintainX, "poll", trap),
    "inside_copy": inside_copy,
    "holding_locks": lambda trap: after(store, "write_staged", trap),
    "ended": lambda trap: after(outcomes, "finish", trap),
}


def main() -> None:
    operation_id, *point = sys.argv[1:]
    set_trap(POINTS, point)
    print("ready", flush=True)
    execute_operation(UUID(operation_id))


main()
