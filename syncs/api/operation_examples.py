"""Examples of writes for the published schema."""

from __future__ import annotations

from typing import Any

from syncs.api.examples import CONNECTION_ID, RECORD_ID

OPERATION_ID = "op_01935000000070008000000000000010"
BATCH_ID = "bat_01935000000070008000000000000011"
UPDATED: dict[str, Any] = {
    "id": OPERATION_ID,
    "connection_id": CONNECTION_ID,
    "entity": "purchase_order",
    "kind": "update",
    "action": None,
    "status": "succeeded",
    "stage": "ended",
    "record_id": RECORD_ID,
    "remote_id": "1187",
    "request": {"notes": "Deliver to gate 3."},
    "diff": [{"pointer": "/notes", "before": None, "after": "Deliver to gate 3."}],
    "not_applied": [],
    "effect": None,
    "candidates": [],
    "error": None,
    "job": False,
    "batch_id": None,
    "requested_by": "token tok_01935000000070008000000000000004",
    "origin": "api",
    "created_at": "2026-03-01T08:00:00Z",
    "sent_at": "2026-03-01T08:00:00.214Z",
    "finished_at": "2026-03-01T08:00:00.602Z",
    "next_try_at": None,
    "resolved_by": None,
    "resolved_at": None,
    "links": {
        "self": f"/api/v1/operations/{OPERATION_ID}",
        "upstream_calls": f"/api/v1/upstream-calls?operation={OPERATION_ID}",
    },
}
CALL: dict[str, Any] = {
    "method": "PATCH",
    "url": "https://erp.nordwerk.example/api/orders/1187",
    "headers": {"If-Match": '"7"'},
    "body": {"notes": "Deliver to gate 3."},
    "purpose": "update the purchase order",
}
DETAIL: dict[str, Any] = {**UPDATED, "calls": [CALL]}
QUEUED: dict[str, Any] = {
    **UPDATED,
    "status": "running",
    "stage": "sending",
    "finished_at": None,
}
FAILED: dict[str, Any] = {
    **UPDATED,
    "status": "failed",
    "error": {
        "code": "BUSINESS_RULE",
        "category": "business_rule",
        "message": "The order is locked.",
        "who_must_act": "customer",
        "retryable": False,
        "action": "Ask the customer to change the object in the system so that its rules allow this.",
        "source": {"status": 422, "code": "LOCKED", "message": "The order is locked."},
    },
}
DRY_RUN: dict[str, Any] = {"dry_run": True, "calls": [CALL], "diff": UPDATED["diff"], "effect": None}
BULK: dict[str, Any] = {
    "items": [
        {"operation": "update", "id": RECORD_ID, "body": {"notes": "Deliver to gate 3."}, "if_match": 3},
        {"operation": "delete", "id": "po_8f14e45fceea867a9ab1c2d3e4f50618"},
    ]
}
BULK_ANSWER: dict[str, Any] = {
    "batch_id": BATCH_ID,
    "data": [
        {"index": 0, "status": 200, "operation": {**UPDATED, "batch_id": BATCH_ID}, "problem": None},
        {
            "index": 1,
            "status": 404,
            "operation": None,
            "problem": {
                "type": "urn:lineshaft:problem:not_found",
                "title": "Not found",
                "status": 404,
                "code": "NOT_FOUND",
                "category": "not_found",
                "detail": "There is no such purchase order in this connection.",
                "request_id": "req_01935000000070008000000000000012",
                "retryable": False,
                "who_must_act": "developer",
                "errors": [],
            },
        },
    ],
}
