"""Purging what belongs to a deleted connection, in batches, until nothing of the customer's is left.

Each batch is one transaction under the connection's row lock, which several ticks pass by; what it deleted is counted in
the same transaction. So a purge may be killed anywhere, and goes on. First goes what workers hold (operations, runs,
syncs): whoever still writes does so under one of these rows, which is waited for here, and afterwards cannot write any
more. The connection's own row goes last, with a receipt in the audit log; a row that was added meanwhile keeps it, by
its foreign key, until the next tick.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django_scopes import scope, scopes_disabled

from connections.models import (
    CapabilityOverride,
    CapabilityOverrideHistory,
    Connection,
    ConnectionHistory,
    Credential,
    Grant,
    LinkSecret,
    LinkSession,
    Mapping,
    MappingField,
    UpstreamCall,
)
from core import ids
from syncs.engine.outcomes import now
from syncs.models import (
    Issue,
    Operation,
    QuarantinedRecord,
    Record,
    RecordDictionary,
    Reread,
    RunPage,
    Suspect,
    Sync,
    SyncHistory,
    SyncRun,
)
from webhooks.models import HookAddress, InboundHook
from webhooks.services.purging import blank_deliveries
from workspaces import audit
from workspaces.blanking import blank_events
from workspaces.models import ApiToken, Event

log = structlog.get_logger(__name__)

BATCH = 2_000
PURGED_AT_ONCE = 50
Rows = Callable[[UUID], "QuerySet[Any]"]

STEPS: dict[str, Rows] = {
    # what is counted -> the rows of a connection
    "operations": lambda pk: Operation.objects.filter(connection_id=pk),
    "run_pages": lambda pk: RunPage.objects.filter(run__connection_id=pk),
    "suspects": lambda pk: Suspect.objects.filter(run__connection_id=pk),
    "runs": lambda pk: SyncRun.objects.filter(connection_id=pk),
    "quarantined": lambda pk: QuarantinedRecord.objects.filter(sync__connection_id=pk),
    "rereads": lambda pk: Reread.objects.filter(sync__connection_id=pk),
    "syncs": lambda pk: Sync.objects.filter(connection_id=pk),
    "records": lambda pk: Record.objects.filter(connection_id=pk),
    "dictionaries": lambda pk: RecordDictionary.objects.filter(connection_id=pk),
    "issues": lambda pk: Issue.objects.filter(connection_id=pk),
    "inbound_hooks": lambda pk: InboundHook.objects.filter(connection_id=pk),
    "hook_addresses": lambda pk: HookAddress.objects.filter(connection_id=pk),
    "upstream_calls": lambda pk: UpstreamCall.objects.filter(connection_id=pk),
    "mapping_fields": lambda pk: MappingField.objects.filter(mapping__connection_id=pk),
    "mappings": lambda pk: Mapping.objects.filter(connection_id=pk),
    "capability_overrides": lambda pk: CapabilityOverride.objects.filter(connection_id=pk),
    "link_secrets": lambda pk: LinkSecret.objects.filter(session__connection_id=pk),
    "link_sessions": lambda pk: LinkSession.objects.filter(connection_id=pk),
    "secrets": lambda pk: Credential.objects.filter(connection_id=pk),
    "grants": lambda pk: Grant.objects.filter(connection_id=pk),
    "tokens": lambda pk: ApiToken.objects.filter(connection_id=pk),
    # Behind the rows whose deletion they note.
    "sync_history": lambda pk: SyncHistory.objects.filter(connection_id=pk),
    "capability_override_history": lambda pk: CapabilityOverrideHistory.objects.filter(connection_id=pk),
    "history": lambda pk: ConnectionHistory.objects.filter(pgh_obj_id=pk),
}
_NAMED_IN_ADMIN_LOG = (Sync, ApiToken, LinkSession, QuarantinedRecord, Mapping, CapabilityOverride)


@dataclass
class _Progress:
    """What was deleted so far, as it is kept on the row."""

    rows: dict[str, int]
    feed_position: int = 0

    def count(self, name: str, rows: int) -> None:
        if rows:
            self.rows[name] = self.rows.get(name, 0) + rows

    @classmethod
    def of(cls, connection: Connection) -> _Progress:
        return cls(**(connection.purge_progress or {"rows": {}}))


def purge_deleted(*, seconds: float = 1.0) -> int:
    """Purge deleted connections for so long, the longest waiting first. Answers how many batches were done.

    One that cannot go on does not hold up the others; its trouble is raised in the end.
    """
    until, done = time.monotonic() + seconds, 0
    trouble: DatabaseError | None = None
    with scopes_disabled():
        waiting = Connection.objects.filter(purge_requested_at__isnull=False).order_by("purge_requested_at", "pk")
        found = list(waiting.values_list("pk", "workspace_id")[:PURGED_AT_ONCE])
    for connection_id, workspace_id in found:
        try:
            with scope(workspace=workspace_id):
                while purge_batch(connection_id):
                    done += 1
                    if time.monotonic() > until:
                        return done
        except DatabaseError as error:
            log.exception("purge_failed", connection_id=str(connection_id))
            trouble = error
    if trouble is not None:
        raise trouble
    return done


@transaction.atomic
def purge_batch(connection_id: UUID) -> bool:
    """Delete the next rows of a deleted connection, in its workspace's scope. False when somebody else is at it, or it
    is gone."""
    rows = Connection.objects.filter(pk=connection_id, purge_requested_at__isnull=False)
    connection = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
    if connection is None:
        return False
    progress, left = _Progress.of(connection), BATCH
    for name, rows_of in all_steps().items():
        removed = _remove(rows_of(connection_id), left)
        progress.count(name, removed)
        left -= removed
        if left <= 0:
            break
    if left > 0 and _blank_events(connection, progress):
        _finish(connection, progress)
    else:
        Connection.objects.filter(pk=connection_id).update(purge_progress=vars(progress))
    return True


@cache
def all_steps() -> dict[str, Rows]:
    """Those of the rooms above and of this one, in the order of settings.PURGE_STEPS."""
    return {name: rows for path in settings.PURGE_STEPS for name, rows in import_string(path).items()}


def _remove(rows: QuerySet[Any], limit: int) -> int:
    """Delete some of these rows, and their names where the admin's own log keeps them."""
    pks = list(rows.values_list("pk", flat=True)[:limit])
    if not pks:
        return 0
    if rows.model in _NAMED_IN_ADMIN_LOG:
        _forget_names(rows.model, pks)
    rows.model._default_manager.filter(pk__in=pks).delete()
    return len(pks)


def _forget_names(model: type[Any], pks: list[Any]) -> None:
    about = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model))
    about.filter(object_id__in=[str(pk) for pk in pks]).update(object_repr="(purged)")


def _blank_events(connection: Connection, progress: _Progress) -> bool:
    """The next piece of the feed, with what was sent of it to webhooks; whether that was the last."""
    before = progress.feed_position
    blanked = blank_events(
        workspace_id=connection.workspace_id,
        environment=connection.environment,
        connection_id=connection.pk,
        after=progress.feed_position,
        span=BATCH,
    )
    progress.count("events_emptied", blanked.count)
    told = Event.objects.after(before).filter(
        position__lte=blanked.after,
        workspace_id=connection.workspace_id,
        environment=connection.environment,
        connection_id=connection.pk,
    )
    emptied = blank_deliveries(
        list(told.values_list("pk", flat=True)),
        workspace_id=connection.workspace_id,
        environment=connection.environment,
    )
    progress.count("deliveries_emptied", emptied)
    progress.feed_position = blanked.after
    return blanked.is_end


def _finish(connection: Connection, progress: _Progress) -> None:
    """The row itself, and the receipt."""
    requested_at, ended_at = connection.purge_requested_at, now()
    assert requested_at is not None
    _forget_names(Connection, [connection.pk])
    Connection.objects.filter(pk=connection.pk).delete()
    audit.record(
        "connection.purged",
        workspace_id=connection.workspace_id,
        about=("connection", str(ids.show(Connection.PREFIX, connection.pk))),
        details={
            "rows": progress.rows,
            "requested_at": requested_at.isoformat(),
            "seconds": round((ended_at - requested_at).total_seconds(), 3),
        },
    )
    log.info("connection_purged", connection_id=str(connection.pk), **progress.rows)
