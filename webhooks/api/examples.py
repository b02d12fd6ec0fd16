"""Examples of the published schema."""

from __future__ import annotations

from typing import Any

NEW: dict[str, Any] = {
    "url": "https://app.example.com/lineshaft",
    "description": "Order service",
    "connections": ["con_01935000000070008000000000000002"],
    "event_types": ["record.created", "record.updated"],
    "include_initial": False,
    "payload": "thin",
}
ENDPOINT: dict[str, Any] = {
    "id": "whe_0193500000007000800000000000000b",
    "environment": "live",
    **NEW,
    "status": "active",
    "disabled_reason": None,
    "disabled_at": None,
    "position": 4711,
    "failures_in_row": 0,
    "failing_since": None,
    "last_success_at": "2026-03-01T08:00:01Z",
    "last_failure_at": None,
    "secrets": [{"created_at": "2026-03-01T07:00:00Z", "expires_at": None}],
    "created_at": "2026-03-01T07:00:00Z",
    "created_by": "token tok_01935000000070008000000000000005",
}
CREATED = {**ENDPOINT, "secret": "whsec_..."}
ROTATED = {
    **CREATED,
    "secrets": [
        {"created_at": "2026-06-01T08:00:00Z", "expires_at": None},
        {"created_at": "2026-03-01T07:00:00Z", "expires_at": "2026-06-02T08:00:00Z"},
    ],
}
DELIVERY: dict[str, Any] = {
    "id": "whd_0193500000007000800000000000000c",
    "endpoint": ENDPOINT["id"],
    "event": "evt_0193500000007000800000000000000a",
    "message_id": "evt_0193500000007000800000000000000a",
    "type": "record.updated",
    "part": 0,
    "position": 4711,
    "status": "pending",
    "attempt_count": 1,
    "is_manual": False,
    "due_at": "2026-03-01T08:00:06Z",
    "delivered_at": None,
    "created_at": "2026-03-01T08:00:00Z",
}
ATTEMPT: dict[str, Any] = {
    "number": 1,
    "at": "2026-03-01T08:00:01Z",
    "status_code": 503,
    "error_code": None,
    "elapsed_ms": 41.5,
    "answer": "upstream is starting",
}
