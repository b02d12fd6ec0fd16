"""Duties of the tick in this room. Each answers how many rows it moved; any number of tickers may run them at once."""

from __future__ import annotations

import time

from django_scopes import scopes_disabled

from core import hints
from core.leases import take_due_for_hint
from core.seldom import Seldom
from flows.engine.admission import admit, flows_with_queues
from flows.engine.hinting import QUEUE, TASK
from flows.models import FlowRun
from flows.services import following, keeping, scheduling, stopping, waking

BATCH = 200
HINTS_FOR_SECONDS = 1.0
_admitted = Seldom(seconds=5.0)


def stop_disconnected_runs() -> int:
    """Runs that wait for connections that were ended fail."""
    return stopping.stop_disconnected(BATCH)


def start_scheduled_runs() -> int:
    """One run for each flow whose time has come."""
    return scheduling.start_due()


def wake_waiting_runs() -> int:
    """Runs whose event has come, or whose operation has ended, are due."""
    return waking.wake_behind_events() + waking.wake_behind_operations()


def admit_queued_runs() -> int:
    """Places that were left free are given away. Not each second: whoever ends a run does so itself."""
    if not _admitted.is_due("admit"):
        return 0
    _admitted.told("admit")
    return sum(admit(flow_id) for flow_id in flows_with_queues(BATCH))


def hint_due_runs() -> int:
    """Tell workers of runs that are due: fresh ones, waiting ones, and those whose worker died. Thousands may be at once."""
    until, told = time.monotonic() + HINTS_FOR_SECONDS, 0
    while due := take_due_for_hint(FlowRun, BATCH):
        told += sum(hints.publish(TASK, run_id, queue=QUEUE) for run_id in due)
        if len(due) < BATCH or time.monotonic() > until:
            break
    return told


def hint_followers() -> int:
    """Tell workers of flows whose trigger has events to look at."""
    return following.hint_followers()


def forget_old_rows() -> int:
    """Runs after 90 days, messages after 14, in small batches."""
    with scopes_disabled():
        return keeping.forget_old_runs() + keeping.forget_old_messages()
