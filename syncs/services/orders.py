"""The standing orders: made for active connections, paused, resumed, given other intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from connections.models import Connection
from connections.services import schedule_of
from core import ids
from core.errors import ConflictError, FieldError, ValidationFailedError
from integrations.registry import get_connector
from syncs.choices import Mode
from syncs.engine.outcomes import now
from syncs.models import Sync, SyncRun
from syncs.services.runs import cancel_run
from workspaces import audit

DOCUMENT_HISTORY_DAYS = 90
CHANGEABLE = ("enabled", "interval_seconds", "full_interval_seconds", "history_days")


def ensure_syncs(connection: Connection) -> list[Sync]:
    """Make the syncs a connection lacks: one for each entity its system has. Calling it twice changes nothing."""
    resources = get_connector(connection.system).resources()
    schedules = schedule_of(connection.workspace_id, connection.system, connection.environment)
    Sync.objects.bulk_create(
        [
            Sync(
                workspace_id=connection.workspace_id,
                connection=connection,
                entity=entity,
                history_days=DOCUMENT_HISTORY_DAYS if resource.spec.document else None,
                **schedules.get(entity, {}),
            )
            for entity, resource in resources.items()
            if connection.shares(entity)
        ],
        ignore_conflicts=True,
    )
    return list(Sync.objects.filter(connection=connection).order_by("entity"))


def update_sync(sync: Sync, **changes: Any) -> Sync:
    """Change interval_seconds, full_interval_seconds, history_days or enabled. Errors: ValidationFailedError by field."""
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise ValidationFailedError(f"These cannot be changed: {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        sync = Sync.objects.select_for_update(no_key=True).get(pk=sync.pk)
        changed = sorted(name for name, value in changes.items() if getattr(sync, name) != value)
        for name, value in changes.items():
            setattr(sync, name, value)
        try:
            sync.clean_fields(exclude=[f.name for f in Sync._meta.fields if f.name not in changes])
        except ValidationError as error:
            errors = tuple(
                FieldError(f"/{name}", "INVALID_VALUE", " ".join(messages))
                for name, messages in error.message_dict.items()
            )
            raise ValidationFailedError("Some values cannot be used.", errors=errors) from error
        also = ["next_run_at"]
        sync.next_run_at = Now()
        if "history_days" in changes and sync.initial_completed_at is not None:
            # Another window: the next run is a full one, which fixes its start anew. Older copies stay, unjudged.
            sync.history_from, sync.requested_mode = None, Mode.FULL
            also += ["history_from", "requested_mode"]
        if "full_interval_seconds" in changes and sync.next_full_at is not None:
            sync.next_full_at = min(sync.next_full_at, now() + timedelta(seconds=sync.full_interval_seconds))
            also.append("next_full_at")
        sync.save(update_fields=[*changes, *also])
        if changed:
            _record("sync.changed", sync, changed=changed)
    sync.refresh_from_db()
    return sync


def pause_sync(sync: Sync) -> None:
    """No more runs until resumed; a waiting one ends now, one under way at its next page.

    First the sync, then its run, each in a transaction of its own: a run that finishes locks them the other way round.
    """
    with transaction.atomic():
        if Sync.objects.filter(pk=sync.pk, paused=False).update(paused=True):
            _record("sync.paused", sync)
    for run in SyncRun.objects.filter(sync=sync).active():
        try:
            cancel_run(run)
        except ConflictError:
            continue  # it ended meanwhile, which is as well


def resume_sync(sync: Sync) -> None:
    """Runs go on, at once."""
    with transaction.atomic():
        was_paused = Sync.objects.filter(pk=sync.pk, paused=True).update(paused=False)
        Sync.objects.filter(pk=sync.pk).update(next_run_at=Now())
        if was_paused:
            _record("sync.resumed", sync)


def _record(action: str, sync: Sync, **details: Any) -> None:
    about = ("sync", ids.show(Sync.PREFIX, sync.pk) or "")
    connection = ids.show(Connection.PREFIX, sync.connection_id)
    audit.record(
        action,
        workspace_id=sync.workspace_id,
        about=about,
        details={"connection": connection, "entity": sync.entity, **details},
    )
