"""Playing the workers: a connection with syncs, runs executed in this process, and what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection as database
from django_scopes import scopes_disabled

from connections.models import Connection
from syncs.choices import ACTIVE, Mode, Trigger
from syncs.engine.run import execute_run
from syncs.models import QuarantinedRecord, Record, Sync, SyncRun
from syncs.packing import unpack
from syncs.services import ensure_syncs, request_run
from workspaces.models import Event


def sync_of(connection: Connection, entity: str = "purchase_order") -> Sync:
    with scopes_disabled():
        ensure_syncs(connection)
        return Sync.objects.get(connection=connection, entity=entity)


def run_sync(sync: Sync, mode: str = "incremental", *, rounds: int = 1) -> SyncRun:
    """Request a run and execute it; `rounds` claims at the most, waiting is skipped in between."""
    with scopes_disabled():
        run = request_run(sync, Mode(mode), trigger=Trigger.COMMAND).run
        for _ in range(rounds):
            execute_run(run.pk)
            run.refresh_from_db()
            if run.status not in ACTIVE:
                break
            due_now(run)
    return run


def due_now(run: SyncRun) -> None:
    with database.cursor() as cursor:
        cursor.execute("UPDATE syncs_syncrun SET due_at = clock_timestamp() WHERE id = %s", [run.pk])


@dataclass(frozen=True)
class Copy:
    """What users would see of one entity."""

    live: dict[str, dict[str, Any]]
    deleted: set[str]
    versions: dict[str, int]
    quarantined: dict[str, str]


def copy_of(sync: Sync) -> Copy:
    with scopes_disabled():
        records = list(Record.objects.filter(connection_id=sync.connection_id, entity=sync.entity))
        bodies = unpack((bytes(r.body) for r in records), connection_id=sync.connection_id)
        texts = {r.pk: orjson.loads(body) for r, body in zip(records, bodies, strict=True)}
        aside = QuarantinedRecord.objects.filter(sync=sync)
        return Copy(
            live={r.remote_id: texts[r.pk] for r in records if r.deleted_at is None},
            deleted={r.remote_id for r in records if r.deleted_at is not None},
            versions={r.remote_id: r.version for r in records},
            quarantined=dict(aside.values_list("remote_id", "code")),
        )


def events_of(sync: Sync) -> list[dict[str, Any]]:
    """Every event of the workspace in commit order."""
    with scopes_disabled():
        bodies = Event.objects.filter(workspace_id=sync.workspace_id).order_by("position")
        return [orjson.loads(body) for body in bodies.values_list("body", flat=True)]


def record_events(sync: Sync) -> Counter[tuple[str, str]]:
    """How often each (event type, record id) was told."""
    told: Counter[tuple[str, str]] = Counter()
    for event in events_of(sync):
        if event["type"].startswith("record."):
            told.update((event["type"], record) for record in event["data"]["ids"])
    return told


def event_types(sync: Sync) -> Counter[str]:
    return Counter(event["type"] for event in events_of(sync))
