"""A tick that works off what systems told, and kills itself at a named point.

python -m tests.chaos.hook_worker [POINT SIGNAL [OCCURRENCE]]
"""

from __future__ import annotations

import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from syncs.services import heeding  # noqa: E402
from tests.chaos.traps import Set, after, before, set_trap  # noqa: E402

POINTS: dict[str, Set] = {
    "before": lambda trap: before(heeding, "work_off", trap),
    "messages_done": lambda trap: after(heeding, "work_off", trap),
    "syncs_due": lambda trap: after(heeding, "_make_due", trap),
}


def main() -> None:
    set_trap(POINTS, sys.argv[1:])
    heeding.heed_hooks()


main()
