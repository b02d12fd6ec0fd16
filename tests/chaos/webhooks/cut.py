"""A process that does something with its event and is killed at a point.

    python -m tests.chaos.webhooks.cut POINT WORKSPACE

Points: `before_commit` and `after_commit` of a cause (the workspace's new name) with its event; `fanning` and `fanned`:
before and after the commit of a fan-out.
"""

from __future__ import annotations

import os
import signal
import sys
from uuid import UUID

import django

django.setup()

from django.db import transaction  # noqa: E402
from django_scopes import scopes_disabled  # noqa: E402

from webhooks.services.fanout import fan_out  # noqa: E402
from workspaces.choices import EventType  # noqa: E402
from workspaces.events import emit  # noqa: E402
from workspaces.models import Workspace  # noqa: E402


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str, workspace_id: UUID) -> None:
    with scopes_disabled():
        with transaction.atomic():
            if point.startswith("fan"):
                fan_out()
            else:
                Workspace.objects.filter(pk=workspace_id).update(name="Caused")
                emit(EventType.SYNC_COMPLETED, workspace_id=workspace_id, environment="test", data={"cause": "name"})
            if point in ("before_commit", "fanning"):
                die()
        die()


if __name__ == "__main__":
    main(sys.argv[1], UUID(sys.argv[2]))
