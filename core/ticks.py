"""Ticks: short, repeated duties on the database alone. Any number of tick processes may run at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from core.models import TickBeat

log = structlog.get_logger(__name__)


def duties() -> list[tuple[str, Callable[[], int]]]:
    """Name and function of each duty, in order, from settings.TICKS."""
    return [(path, import_string(path)) for path in settings.TICKS]


def run_once() -> dict[str, int]:
    """Do every duty once. One that fails is logged and shown by its beat; the others go on."""
    moved: dict[str, int] = {}
    for name, duty in duties():
        began, problem = time.monotonic(), ""
        try:
            moved[name] = duty()
        except Exception as error:  # a duty's end: what happened is stored and told
            problem = f"{type(error).__name__}: {error}"[:500]
            log.exception("tick_failed", duty=name)
            connection.close()
        _beat(name, (time.monotonic() - began) * 1000, problem)
    return moved


def _beat(name: str, elapsed_ms: float, problem: str) -> None:
    TickBeat.objects.update_or_create(
        name=name, defaults={"last_at": Now(), "elapsed_ms": round(elapsed_ms), "problem": problem}
    )


def run_until(
    stop: threading.Event,
    *,
    interval_seconds: float = 1.0,
    report: Callable[[dict[str, int]], None] | None = None,
) -> None:
    """Tick until `stop` is set. A lost database is waited for, not fatal. `report` is told what each round moved."""
    while not stop.is_set():
        close_old_connections()
        moved: dict[str, int] = {}
        try:
            moved = run_once()
        except Exception:  # the database is away: the beat could not be written either
            log.exception("tick_without_database")
            connection.close()
        if report is not None:
            report(moved)
        stop.wait(interval_seconds)
