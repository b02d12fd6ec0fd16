"""How long runs and messages are kept."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from flows.choices import ENDED
from flows.models import FlowHookMessage, FlowRun, FlowVersion, StepRun
from webhooks.services import clock

__all__ = ["forget_old_messages", "forget_old_runs"]

RUNS_KEPT_FOR, MESSAGES_KEPT_FOR = timedelta(days=90), timedelta(days=14)
RUNS_AT_ONCE, MESSAGES_AT_ONCE = 200, 1_000


def forget_old_runs(*, limit: int = RUNS_AT_ONCE) -> int:
    """Delete at most `limit` runs that ended more than 90 days ago, with their steps. In no scope; answers how many."""
    before = clock.now() - RUNS_KEPT_FOR
    # Ids begin with the time they were made, in milliseconds, so the primary key finds the old ones.
    first = UUID(int=int(before.timestamp() * 1000) << 80)
    old = FlowRun.objects.filter(pk__lt=first, status__in=ENDED, finished_at__lt=before).order_by("pk")
    found = list(old.values_list("pk", "version_id")[:limit])
    if not found:
        return 0
    runs = [run_id for run_id, _ in found]
    # Straight by SQL: what hangs on a run is known, and steps may be many.
    steps = StepRun.objects.filter(run_id__in=runs)
    steps._raw_delete(steps.db)
    FlowRun.objects.filter(pk__in=runs).delete()
    _forget_drafts({version_id for _, version_id in found})
    return len(runs)


def forget_old_messages(*, limit: int = MESSAGES_AT_ONCE) -> int:
    """Delete at most `limit` messages older than 14 days. In no scope; answers how many."""
    old = FlowHookMessage.objects.filter(received_at__lt=clock.now() - MESSAGES_KEPT_FOR).order_by("received_at")
    found = list(old.values_list("pk", flat=True)[:limit])
    return int(FlowHookMessage.objects.filter(pk__in=found).delete()[0]) if found else 0


def _forget_drafts(version_ids: set[UUID]) -> None:
    """Drafts that were kept for the runs that tried them out."""
    used = FlowRun.objects.filter(version_id=OuterRef("pk"))
    FlowVersion.objects.filter(~Exists(used), pk__in=version_ids, number__isnull=True).delete()
