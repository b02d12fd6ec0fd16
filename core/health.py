"""What load balancers and watchers ask: are we up, may we be sent traffic, does the work move.

No sign-in, and nothing in the answers that an outsider could use: reasons are named, their details go to the log.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.checks import MIN_PEPPER_CHARACTERS
from core.errors import LineshaftError
from core.json import dumps
from core.keys import default_ring
from core.leases import LeasedWork, oldest_due_seconds
from core.models import TickBeat

MAX_DUE_SECONDS = 120
MAX_TICK_SECONDS = 30
_PROBE = "health probe"

log = structlog.get_logger(__name__)
_applied: list[bool] = []  # filled once: migrations that were applied stay so while this process lives


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return _answer({})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Requests can be served: the database answers, its tables are ours, secrets can be opened."""
    missing: dict[str, str] = {}
    try:
        if not _migrations_are_applied():
            missing["migrations"] = "Run `manage.py migrate`."
    except DatabaseError as error:
        log.warning("not_ready", part="database", error=str(error))
        connection.close()
        missing["database"] = "The database does not answer."
    if not _keys_are_usable():
        missing["keys"] = "ENCRYPTION_KEYS or TOKEN_PEPPER is unusable; `manage.py check` says why."
    return _answer(missing)


@never_cache
@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """Work moves: no due row waits long, and every duty of the tick ran lately."""
    missing: dict[str, str] = {}
    try:
        due, beats = _due_seconds(), _beat_seconds()
    except DatabaseError as error:
        log.warning("not_healthy", part="database", error=str(error))
        connection.close()
        return _answer({"database": "The database does not answer."})
    late = [name for name, seconds in due.items() if seconds is not None and seconds > MAX_DUE_SECONDS]
    if late:
        missing["workers"] = f"Due rows wait longer than {MAX_DUE_SECONDS} s: {', '.join(late)}. Are workers running?"
    silent = [name for name, seconds in beats.items() if seconds is None or seconds > MAX_TICK_SECONDS]
    if silent:
        missing["tick"] = f"Not run in {MAX_TICK_SECONDS} s: {', '.join(silent)}. Is `manage.py tick` running?"
    return _answer(missing, oldest_due_seconds=due, last_tick_seconds=beats)


def _answer(missing: dict[str, str], **facts: Any) -> HttpResponse:
    body = {"status": "unavailable" if missing else "ok", "missing": missing, **facts}
    return HttpResponse(dumps(body), status=503 if missing else 200, content_type="application/json")


def _migrations_are_applied() -> bool:
    """Ask the database anyway, but read the migration files only until they were all applied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _applied:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _applied.append(True)
    return True


def _keys_are_usable() -> bool:
    try:
        ring = default_ring()
        opened = ring.decrypt(ring.encrypt(_PROBE, bound_to=_PROBE), bound_to=_PROBE)
    except LineshaftError as error:
        log.warning("not_ready", part="keys", error=error.detail)
        return False
    return opened == _PROBE.encode() and len(settings.TOKEN_PEPPER) >= MIN_PEPPER_CHARACTERS


def _due_seconds() -> dict[str, float | None]:
    """By kind of work, how long its longest-waiting due row waits."""
    kinds = [model for model in apps.get_models() if issubclass(model, LeasedWork)]
    return {kind._meta.label_lower: _rounded(oldest_due_seconds(kind)) for kind in kinds}


def _beat_seconds() -> dict[str, float | None]:
    """By duty of the tick, how long ago it ended; None when it never ran."""
    rows = TickBeat.objects.annotate(age=Now() - F("last_at")).values_list("name", "age")
    ages = {name: age.total_seconds() for name, age in rows}
    return {name: _rounded(ages.get(name)) for name in settings.TICKS}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(seconds, 0.0), 1)
