"""Before a run ends: what its pages could not tell for sure, because we wrote it meanwhile, is read one by one."""

from __future__ import annotations

import time
from datetime import datetime

from django.db import transaction

from core.errors import NotFoundError, NotSupportedError
from syncs.engine import store
from syncs.engine.checkpoint import hold
from syncs.engine.errors import OutOfTime
from syncs.engine.sweep import ABOUT_ONE_OBJECT, tombstone
from syncs.engine.walk import Walk

# One that is written again while it is read has another turn; then it waits for the next run.
TURNS = 3


def read_again(walk: Walk) -> None:
    """Read and write what waits. What a write of ours still holds waits for the next run: that write ends by reading.

    Ends early by Wait, OutOfTime, Cancelled, LeaseLostError or the connector's error; what is not settled stays queued.
    """
    for _ in range(TURNS):
        waiting = walk.writer.own.waiting()
        if not waiting:
            return
        for record_id, remote_id in waiting:
            if time.monotonic() > walk.stop_at:
                raise OutOfTime
            asked_at = walk.before_call()
            try:
                raw = walk.connector.fetch_one(walk.resource, remote_id)
            except NotFoundError:
                _bury(walk, record_id, asked_at)
            except NotSupportedError:
                _give_up(walk, [found for found, _ in waiting])
                return
            except ABOUT_ONE_OBJECT:
                _give_up(walk, [record_id])
            else:
                walk.take_again(remote_id, raw, asked_at)


def _bury(walk: Walk, record_id: str, asked_at: datetime) -> None:
    """The system itself says that it is gone, and nothing of ours changed it while it was asked."""
    with transaction.atomic():
        hold(walk.lease)
        if record_id in store.own_writes(walk.scope, asked_at):
            return
        prefix = walk.resource.spec.id_prefix
        tombstone(walk.run, walk.scope, [record_id], prefix=prefix, before=asked_at)
        walk.writer.own.settle([record_id])


def _give_up(walk: Walk, record_ids: list[str]) -> None:
    with transaction.atomic():
        hold(walk.lease)
        walk.writer.own.give_up(record_ids)
