"""How rows of this room are shown, in the API and by the commands."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from core.ids import show
from core.json import RawJson
from core.redaction import CUT, is_secret_key, redact_text
from integrations.entities import ENTITIES
from syncs.choices import UNFINISHED
from syncs.engine.outcomes import counts
from syncs.models import Operation, QuarantinedRecord, Suspect, Sync, SyncRun
from syncs.services import ConnectionSyncStatus, EntitySyncStatus

BATCH_PREFIX = "bat"
_ERROR = ("code", "message", "who_must_act", "retryable", "action")


def status_body(status: ConnectionSyncStatus) -> dict[str, Any]:
    """The sync status of a connection."""
    return {
        "connection_id": show(Connection.PREFIX, status.connection_id),
        "connection_name": status.connection_name,
        "system": status.system,
        "connection_status": str(status.connection_status),
        "status": str(status.status),
        "last_successful_sync_at": status.last_successful_sync_at,
        "next_scheduled_sync_at": status.next_scheduled_sync_at,
        "errors": [{"entity": error.get("entity"), **_error(error)} for error in status.errors],
        "entities": [_entity_body(entity) for entity in status.entities],
    }


def _entity_body(status: EntitySyncStatus) -> dict[str, Any]:
    return {
        "entity": status.entity,
        "sync_id": show(Sync.PREFIX, status.sync_id),
        "run_id": show(SyncRun.PREFIX, status.run_id),
        "status": str(status.status),
        "last_successful_sync_at": status.last_successful_sync_at,
        "next_scheduled_sync_at": status.next_scheduled_sync_at,
        "is_initial_sync": status.is_initial_sync,
        "phase": status.phase,
        "progress": status.progress,
        "counts": status.counts,
        "data_as_of": status.data_as_of,
        "stale": status.stale,
        "error": _error(status.error) if status.error else None,
    }


def _error(error: dict[str, Any]) -> dict[str, Any]:
    return {name: error.get(name) for name in _ERROR}


def sync_body(sync: Sync, state: str) -> dict[str, Any]:
    """A standing order; `state` as `syncs.states` derives it."""
    return {
        "id": show(Sync.PREFIX, sync.pk),
        "connection_id": show(Connection.PREFIX, sync.connection_id),
        "entity": sync.entity,
        "status": state,
        "enabled": sync.enabled,
        "paused": sync.paused,
        "interval_seconds": sync.interval_seconds,
        "full_interval_seconds": sync.full_interval_seconds,
        "history_days": sync.history_days,
        "history_from": sync.history_from,
        "data_as_of": sync.data_as_of,
        "initial_completed_at": sync.initial_completed_at,
        "last_success_at": sync.last_success_at,
        "next_run_at": sync.next_run_at,
        "next_full_at": sync.next_full_at,
        "requested_mode": sync.requested_mode or None,
        "failures_in_row": sync.failures_in_row,
        "created_at": sync.created_at,
    }


def run_body(run: SyncRun) -> dict[str, Any]:
    """An execution of a sync."""
    reviewed = {"decision": run.review, "at": run.reviewed_at, "by": run.reviewed_by} if run.review else None
    return {
        "id": show(SyncRun.PREFIX, run.pk),
        "sync_id": show(Sync.PREFIX, run.sync_id),
        "connection_id": show(Connection.PREFIX, run.connection_id),
        "entity": run.sync.entity,
        "mode": run.mode,
        "status": run.status,
        "phase": run.phase or None,
        "trigger": run.trigger,
        "triggered_by": run.triggered_by,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "waits_until": run.due_at if run.status == "waiting" else None,
        "cancel_requested": run.cancel_requested,
        "window": {"since": run.window_since, "until": run.window_until},
        "progress": {"done": run.read_count, "total": run.total},
        "counts": counts(run),
        "error": run.error,
        "review": reviewed,
    }


def quarantined_body(item: QuarantinedRecord, *, entity: str, raw: bool) -> dict[str, Any]:
    """An object that could not be copied. Its bytes may be no JSON and no text, so they are shown as a string."""
    body = {
        "id": show(QuarantinedRecord.PREFIX, item.pk),
        "record_id": show(ENTITIES[entity].describes.id_prefix, item.record_id),
        "remote_id": item.remote_id,
        "code": item.code,
        "detail": item.detail,
        "attempts": item.attempts,
        "first_seen_at": item.first_seen_at,
        "last_seen_at": item.last_seen_at,
    }
    return {**body, "raw": bytes(item.raw).decode(errors="replace")} if raw else body


def suspect_body(suspect: Suspect, *, entity: str) -> dict[str, Any]:
    """A record held back for review."""
    return {
        "record_id": show(ENTITIES[entity].describes.id_prefix, suspect.record_id),
        "remote_id": suspect.remote_id,
    }


def operation_body(operation: Operation, *, calls: bool = False) -> dict[str, Any]:
    """A write and what became of it; with `calls` also the upstream requests as they were fixed."""
    shown = show(Operation.PREFIX, operation.pk)
    body = {
        "id": shown,
        "connection_id": show(Connection.PREFIX, operation.connection_id),
        "entity": operation.entity,
        "kind": operation.kind,
        "action": operation.action or None,
        "status": operation.status,
        "stage": operation.stage,
        "record_id": show(ENTITIES[operation.entity].describes.id_prefix, operation.record_id),
        "remote_id": operation.remote_id or None,
        "request": operation.request,
        "diff": [_in_order(found, "pointer", "before", "after") for found in operation.diff],
        "not_applied": [_in_order(found, "pointer", "wished", "found") for found in operation.not_applied],
        "effect": operation.effect or None,
        "candidates": operation.candidates,
        "error": operation.error,
        "job": operation.job is not None,
        "batch_id": show(BATCH_PREFIX, operation.batch_id),
        "requested_by": operation.requested_by,
        "origin": operation.origin,
        "created_at": operation.created_at,
        "sent_at": operation.sent_at,
        "finished_at": operation.done_at,
        "next_try_at": operation.due_at if operation.status in UNFINISHED and operation.status != "running" else None,
        "resolved_by": operation.resolved_by or None,
        "resolved_at": operation.resolved_at,
        "links": {"self": f"/api/v1/operations/{shown}", "upstream_calls": f"/api/v1/upstream-calls?operation={shown}"},
    }
    return {**body, "calls": [call_body(call) for call in operation.calls]} if calls else body


def _in_order(stored: dict[str, Any], *names: str) -> dict[str, Any]:
    """As people read it; the database keeps members in an order of its own."""
    return {name: stored.get(name) for name in names}


def call_body(call: dict[str, Any]) -> dict[str, Any]:
    """A planned request (`WriteCall.as_json`); its body as the JSON that travels. Credentials are never in it."""
    headers = {name: CUT if is_secret_key(name) else value for name, value in call["headers"].items()}
    return {
        "method": call["method"],
        "url": redact_text(call["url"]),
        "headers": headers,
        "body": None if call["body"] is None else RawJson(call["body"]),
        "purpose": call["purpose"],
    }
