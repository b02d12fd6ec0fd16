"""Schedules: a flow that is due starts one run, and gets its next time counted from now.

So an outage fires once, not for each time that was missed. The due row is claimed by its lock, and the run's key names
the time it was due at: any number of tickers start one run of one time.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django_scopes import scope, scopes_disabled

from core.errors import ConflictError
from core.json import utc_text
from flows.choices import TriggerKind
from flows.definitions.model import Definition, ScheduleTrigger
from flows.definitions.schedule import next_time
from flows.models import Flow
from flows.services.starting import definition_of, published, start_run
from webhooks.services import clock

__all__ = ["start_due", "start_next_due"]

TRIED_AGAIN_AFTER = timedelta(hours=1)

log = structlog.get_logger(__name__)


def start_due(*, seconds: float = 1.0) -> int:
    """Start what is due, for so long. Answers how many flows were. In no scope."""
    until, done = time.monotonic() + seconds, 0
    while start_next_due():
        done += 1
        if time.monotonic() > until:
            break
    return done


@transaction.atomic
def start_next_due() -> bool:
    """Start the flow that has been due for longest; whether there was one that nobody else is at."""
    at = clock.now()
    with scopes_disabled():
        due = Flow.objects.started_by_itself().filter(trigger_kind=TriggerKind.SCHEDULE, next_due_at__lte=at)
        rows = due.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related("version")
        flow = rows.order_by("next_due_at").first()
    if flow is None:
        return False
    with scope(workspace=flow.workspace_id):
        moved = _start(flow, at)
        Flow.objects.filter(pk=flow.pk).update(**moved)
    return True


def _start(flow: Flow, at: datetime) -> dict[str, Any]:
    """Start its run; answers what changes on the flow."""
    try:
        with transaction.atomic():
            definition = definition_of(published(flow))
            next_due_at = _next_time(definition, at)
            assert flow.next_due_at is not None
            _start_run(flow, flow.next_due_at, at)
    except Exception as error:  # a trigger's end: what happened is stored, and the others go on
        log.exception("schedule_not_started", flow_id=str(flow.pk))
        told = f"The schedule could not be worked out: {type(error).__name__}: {error}"[:500]
        trouble = {"code": "SCHEDULE_FAILED", "message": told, "event": None, "at": utc_text(at)}
        return {"next_due_at": at + TRIED_AGAIN_AFTER, "trigger_error": trouble}
    return {"next_due_at": next_due_at, "trigger_error": None}


def _next_time(definition: Definition, at: datetime) -> datetime | None:
    assert isinstance(definition.trigger, ScheduleTrigger)
    return next_time(definition.trigger.cron, definition.trigger.zone, at)


def _start_run(flow: Flow, due_at: datetime, at: datetime) -> None:
    """Where a connection of the flow was ended nothing starts; the times pass."""
    due = utc_text(due_at)
    input = {"kind": TriggerKind.SCHEDULE.value, "at": utc_text(at), "scheduled_at": due}
    try:
        start_run(
            flow, trigger=TriggerKind.SCHEDULE, input=input, by="schedule", key=f"schedule:{due}", version=flow.version
        )
    except ConflictError as error:
        log.info("schedule_starts_nothing", flow_id=str(flow.pk), code=error.code)
