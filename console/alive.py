"""A worker's sign of life: a file it touches while its event loop turns and it is connected to the broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import bootsteps

TOUCH_SECONDS = 5.0


def alive_step(path: Path) -> type[bootsteps.StartStopStep]:
    """A step of Celery's consumer: begun with each connection to the broker, ended with its loss."""

    class Alive(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer:Tasks",)
        _entry: Any = None

        def start(self, parent: Any) -> None:
            path.touch()
            self._entry = parent.timer.call_repeatedly(TOUCH_SECONDS, path.touch)

        def stop(self, parent: Any) -> None:
            if self._entry is not None:
                self._entry.cancel()
                self._entry = None

        shutdown = stop

    return Alive
