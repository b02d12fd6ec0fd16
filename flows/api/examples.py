"""Examples of the published schema."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]

DEFINITION: Body = {
    "format": 1,
    "title": "Tell of low stock",
    "connections": {"cmms": {"title": "Maintenance system"}},
    "trigger": {
        "on": "event",
        "types": ["record.updated"],
        "connections": ["cmms"],
        "entities": ["inventory_item"],
    },
    "steps": [
        {
            "name": "tell",
            "do": "http_request",
            "method": "POST",
            "url": "https://chat.example.com/hooks/stock",
            "secret_headers": {"Authorization": {"secret": "chat", "before": "Bearer "}},
            "body": {"text": {"$": "join(' ', ['Low:', trigger.record.name])"}},
        }
    ],
}
NEW: Body = {
    "name": "Tell of low stock",
    "definition": DEFINITION,
    "bindings": {"cmms": "con_01935000000070008000000000000002"},
}
FLOW: Body = {
    "id": "flow_0193500000007000800000000000000d",
    "environment": "live",
    "name": "Tell of low stock",
    "description": "",
    "status": "active",
    "trigger": "event",
    "version": {
        "number": 3,
        "created_at": "2026-03-01T07:30:00Z",
        "created_by": "token tok_01935000000070008000000000000005",
    },
    "next_due_at": None,
    "trigger_error": None,
    "created_at": "2026-03-01T07:00:00Z",
    "created_by": "token tok_01935000000070008000000000000005",
    "updated_at": "2026-03-01T07:30:00Z",
}
DETAIL: Body = {**FLOW, "definition": DEFINITION, "bindings": NEW["bindings"], "has_changes": False}
DRAFT: Body = {**DETAIL, "status": "draft", "trigger": None, "version": None, "has_changes": True}
VERSION: Body = {"flow": FLOW["id"], **FLOW["version"]}
EXPORT: Body = {
    "lineshaft_flow": 1,
    "name": FLOW["name"],
    "description": "",
    "definition": DEFINITION,
    "secrets": ["chat"],
}
PROBLEMS: Body = {
    "errors": [
        {
            "pointer": "/definition/steps/0/do",
            "code": "UNKNOWN_STEP",
            "detail": "There is no step 'http'; did you mean http_request?",
        }
    ]
}
SECRET: Body = {"name": "chat", "created_at": "2026-03-01T07:00:00Z", "updated_at": "2026-03-01T07:00:00Z"}
HOOK: Body = {
    "flow": FLOW["id"],
    "created_at": "2026-03-01T07:00:00Z",
    "last_received_at": "2026-03-01T08:00:00Z",
    "has_signing_secret": False,
}
URL = f"https://lineshaft.example.com/flow-hooks/{FLOW['id']}/kq3..."
RUN: Body = {
    "id": "frun_0193500000007000800000000000000e",
    "flow": FLOW["id"],
    "version": 3,
    "environment": "live",
    "status": "succeeded",
    "trigger": "event",
    "triggered_by": "event evt_0193500000007000800000000000000a",
    "key": "inv_01935000000070008000000000000009:7",
    "is_dry": False,
    "depth": 0,
    "rerun_of": None,
    "connections": ["con_01935000000070008000000000000002"],
    "created_at": "2026-03-01T08:00:00Z",
    "started_at": "2026-03-01T08:00:00.1Z",
    "finished_at": "2026-03-01T08:00:01Z",
    "waits_for": None,
    "wakes_at": None,
    "current_step": None,
    "error": None,
}
QUEUED: Body = {**RUN, "status": "queued", "trigger": "api", "key": None, "started_at": None, "finished_at": None}
FAILED: Body = {
    **RUN,
    "status": "failed",
    "current_step": "tell",
    "error": {
        "code": "UPSTREAM_UNAVAILABLE",
        "category": "transient",
        "message": "chat.example.com answered 503.",
        "who_must_act": "source",
        "retryable": True,
        "action": "Retry the run once it answers again.",
        "step": "tell",
    },
}
INPUT: Body = {"kind": "api", "at": "2026-03-01T08:00:00Z", "body": {"order": "4711"}}
STEP: Body = {
    "id": "fstep_0193500000007000800000000000000f",
    "run": RUN["id"],
    "path": "tell",
    "scope": "",
    "name": "tell",
    "kind": "http_request",
    "status": "succeeded",
    "retry": 0,
    "input": {"method": "POST", "url": "https://chat.example.com/hooks/stock", "body": {"text": "Low: Bearing 6204"}},
    "output": {"status": 200, "headers": {}, "body": {"ok": True}},
    "error": None,
    "attempts": [],
    "call": {"method": "POST", "url": "https://chat.example.com/hooks/stock", "status": 200, "elapsed_ms": 41.5},
    "operation": None,
    "started_at": "2026-03-01T08:00:00.2Z",
    "finished_at": "2026-03-01T08:00:00.9Z",
}
TESTED: Body = {
    "input": STEP["input"],
    "output": None,
    "error": None,
    "call": None,
    "elapsed_ms": 3,
    "is_skipped": False,
}
MESSAGE: Body = {
    "id": "fmsg_01935000000070008000000000000010",
    "flow": FLOW["id"],
    "status": "started",
    "run": RUN["id"],
    "error": None,
    "headers": {"content-type": "application/json"},
    "body": '{"order": "4711"}',
    "body_bytes": 17,
    "received_at": "2026-03-01T08:00:00Z",
}
