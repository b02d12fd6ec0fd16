"""Examples of the published schema. They belong together: one connection, one sync, one run."""

from __future__ import annotations

from typing import Any

CONNECTION_ID = "con_01935000000070008000000000000002"
SYNC_ID = "syn_01935000000070008000000000000006"
RUN_ID = "run_01935000000070008000000000000003"
RECORD_ID = "po_8f14e45fceea867a9ab1c2d3e4f50617"

COUNTS = {"read": 1200, "created": 0, "updated": 3, "deleted": 0, "unchanged": 1196, "quarantined": 1}
ENTITY_STATUS: dict[str, Any] = {
    "entity": "purchase_order",
    "sync_id": SYNC_ID,
    "run_id": RUN_ID,
    "status": "in_progress",
    "last_successful_sync_at": "2026-03-01T07:45:09Z",
    "next_scheduled_sync_at": "2026-03-01T08:00:11Z",
    "is_initial_sync": False,
    "phase": "fetching",
    "progress": {"done": 1200, "total": 4800},
    "counts": COUNTS,
    "data_as_of": "2026-03-01T07:45:02Z",
    "stale": False,
    "error": None,
}
SYNC_STATUS: dict[str, Any] = {
    "connection_id": CONNECTION_ID,
    "connection_name": "Nordring, plant Kiel",
    "system": "tryton",
    "connection_status": "active",
    "status": "in_progress",
    "last_successful_sync_at": "2026-03-01T07:45:09Z",
    "next_scheduled_sync_at": "2026-03-01T08:00:11Z",
    "errors": [],
    "entities": [ENTITY_STATUS],
}
SYNC: dict[str, Any] = {
    "id": SYNC_ID,
    "connection_id": CONNECTION_ID,
    "entity": "purchase_order",
    "status": "completed",
    "enabled": True,
    "paused": False,
    "interval_seconds": 900,
    "full_interval_seconds": 86400,
    "history_days": 90,
    "history_from": "2025-12-01T08:00:00Z",
    "data_as_of": "2026-03-01T07:45:02Z",
    "initial_completed_at": "2026-02-28T08:04:31Z",
    "last_success_at": "2026-03-01T07:45:09Z",
    "next_run_at": "2026-03-01T08:00:11Z",
    "next_full_at": "2026-03-02T03:12:00Z",
    "requested_mode": None,
    "failures_in_row": 0,
    "created_at": "2026-02-28T08:00:00Z",
}
RUN: dict[str, Any] = {
    "id": RUN_ID,
    "sync_id": SYNC_ID,
    "connection_id": CONNECTION_ID,
    "entity": "purchase_order",
    "mode": "full",
    "status": "running",
    "phase": "fetching",
    "trigger": "api",
    "triggered_by": "token tok_01935000000070008000000000000004",
    "created_at": "2026-03-01T08:00:00Z",
    "started_at": "2026-03-01T08:00:00.412Z",
    "finished_at": None,
    "waits_until": None,
    "cancel_requested": False,
    "window": {"since": None, "until": "2026-03-01T08:00:00Z"},
    "progress": {"done": 1200, "total": 4800},
    "counts": COUNTS,
    "error": None,
    "review": None,
}
HELD: dict[str, Any] = {
    **RUN,
    "status": "needs_review",
    "phase": None,
    "finished_at": "2026-03-01T08:01:12Z",
    "error": {
        "code": "DELETIONS_NEED_REVIEW",
        "category": "business_rule",
        "message": "320 of 1200 records were not in the complete list. Nothing was deleted.",
        "who_must_act": "operator",
        "retryable": False,
        "action": "Check the account's rights and scope in the system, then release the records or delete them.",
        "source": None,
    },
}
QUARANTINED: dict[str, Any] = {
    "id": "qua_01935000000070008000000000000007",
    "record_id": RECORD_ID,
    "remote_id": "1187",
    "code": "MAPPING_FAILED",
    "detail": "total_amount: 'twelve' is not a number",
    "attempts": 2,
    "first_seen_at": "2026-03-01T07:45:03Z",
    "last_seen_at": "2026-03-01T08:00:01Z",
}
