"""What systems told by hooks: the entities they name are due now. A lower room's messages, pulled from here."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from connections.choices import MAY_SYNC
from connections.models import Connection
from core.ids import derived_id, namespace_of
from syncs.choices import Mode
from syncs.models import Reread, Sync, SyncRun
from webhooks.services.inbound import Wish, work_off

AT_ONCE = 50  # a message may have a megabyte
ROUND_SECONDS = 2.0
MOST_GONE = 200


def heed_hooks() -> int:
    """Work off what systems told, for two seconds at the most. Answers how many messages."""
    until, heeded = time.monotonic() + ROUND_SECONDS, 0
    while time.monotonic() < until:
        count = heed_batch()
        heeded += count
        if count < AT_ONCE:
            break
    return heeded


def heed_batch(limit: int = AT_ONCE) -> int:
    """One transaction: messages are done when the syncs they wish for are due, or neither."""
    with scopes_disabled(), transaction.atomic():
        count, wishes = work_off(limit)
        if wishes:
            _make_due(wishes)
        return count


def _make_due(wishes: Iterable[Wish]) -> None:
    """Many wishes make one run: the one that waits, or the next.

    Not for what is paused, switched off or not shared, nor for a sync that fails and waits for its next try.
    """
    wanted = {(wish.connection_id, wish.entity): wish for wish in wishes}
    named = Q(pk__in=[])
    for connection_id, entity in wanted:
        named |= Q(connection_id=connection_id, entity=entity)
    may = Connection.objects.filter(pk=OuterRef("connection_id"), paused=False, health__in=MAY_SYNC)
    # A run whose window is fixed may be past the object: one more is needed. One that only waits will see it.
    begun = SyncRun.objects.filter(sync=OuterRef("pk"), window_until__isnull=False).active()
    syncs = (
        Sync.objects.filter(named, Exists(may.sharing(OuterRef("entity"))))
        .filter(enabled=True, paused=False, unavailable="", failures_in_row=0)
        .annotate(is_begun=Exists(begun))
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )
    for sync in syncs:
        if sync.is_begun and not sync.requested_mode:
            Sync.objects.filter(pk=sync.pk).update(requested_mode=Mode.INCREMENTAL, next_run_at=Now())
        else:
            Sync.objects.filter(pk=sync.pk).filter(~Q(next_run_at__lte=Now())).update(next_run_at=Now())
        _reread(sync, wanted[sync.connection_id, sync.entity].gone)


def _reread(sync: Sync, remote_ids: Iterable[str]) -> None:
    """Lists of changes do not show what was deleted: the run asks for each of these by its id."""
    namespace = namespace_of(sync.connection_id, sync.entity)
    Reread.objects.bulk_create(
        [
            Reread(
                workspace_id=sync.workspace_id,
                sync_id=sync.pk,
                record_id=derived_id(namespace, remote_id),
                remote_id=remote_id,
            )
            for remote_id in sorted(remote_ids)[:MOST_GONE]
        ],
        ignore_conflicts=True,
    )
