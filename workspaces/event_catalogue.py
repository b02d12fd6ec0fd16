"""What each type of event tells: the one source of the guide's table, of `webhooks` in OpenAPI, and of test messages.

Rooms above emit most of these; what stands in `data` is part of the promise to readers, so it is written down here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workspaces.choices import EventType

Schema = dict[str, Any]


@dataclass(frozen=True)
class EventFacts:
    """`when` it is told, `data` as JSON schemas by name, a `sample` of it. `more` is a page of the guides about it."""

    when: str
    data: Mapping[str, Schema] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    more: str = ""
    reason: str | None = None
    about_connection: bool = True


def _id(prefix: str, of: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_[0-9a-f]{{32}}$", "description": f"Id of the {of}"}


def _text(description: str, *, nullable: bool = False) -> Schema:
    return {"type": ["string", "null"] if nullable else "string", "description": description}


_ERROR: Schema = {
    "type": ["object", "null"],
    "description": "Why: `code`, `category`, `message`, `who_must_act`, `retryable`, `action`. Null when nothing failed",
}
_FAILURE = {
    "code": "HOST_UNREACHABLE",
    "category": "transient",
    "message": "erp.example.com does not answer.",
    "who_must_act": "source",
    "retryable": True,
    "action": "Nothing: it is tried again by itself.",
}
_ENTITY = _text("Name of the entity, e.g. purchase_order")
_RECORDS: Mapping[str, Schema] = {
    "entity": _ENTITY,
    "ids": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": 100,
        "description": "Ids of the records, at most 100",
    },
}
_RECORDS_SAMPLE = {"entity": "purchase_order", "ids": ["po_8f14e45fceea867a9ab1c2d3e4f50617"]}
_RUN: Mapping[str, Schema] = {
    "sync": _id("syn", "sync"),
    "run": _id("run", "run"),
    "entity": _ENTITY,
    "mode": _text("initial, incremental, full or remap"),
    "counts": {"type": "object", "description": "Records read, created, updated, deleted, unchanged, quarantined"},
    "error": _ERROR,
}
_RUN_SAMPLE = {
    "sync": "syn_01935000000070008000000000000006",
    "run": "run_01935000000070008000000000000003",
    "entity": "purchase_order",
    "mode": "incremental",
    "counts": {"read": 12, "created": 1, "updated": 3, "deleted": 0, "unchanged": 8, "quarantined": 0},
    "error": None,
}
_OPERATION: Mapping[str, Schema] = {
    "operation": _id("op", "operation"),
    "entity": _ENTITY,
    "kind": _text("create, update, delete or action"),
    "action": _text("Name of the action", nullable=True),
    "record": _text("Id of the record, when it has one", nullable=True),
    "not_applied": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Pointers of fields that were dropped",
    },
    "error": _ERROR,
}
_OPERATION_SAMPLE: dict[str, Any] = {
    "operation": "op_01935000000070008000000000000007",
    "entity": "purchase_order",
    "kind": "update",
    "action": None,
    "record": "po_8f14e45fceea867a9ab1c2d3e4f50617",
    "not_applied": [],
    "error": None,
}
_CONNECTION: Mapping[str, Schema] = {
    "system": _text("Slug of the system"),
    "status": _text("Status of the connection, now"),
}
_ISSUE: Mapping[str, Schema] = {
    "issue": _id("iss", "issue"),
    "kind": _text("Which rule found it"),
    "title": _text("What is wrong, in words"),
    "who_must_act": _text("nobody, operator, developer, customer or source"),
    "action": _text("What to do"),
}
_ISSUE_SAMPLE = {
    "issue": "iss_01935000000070008000000000000008",
    "kind": "sync_overdue",
    "title": "Purchase orders of Nordwerk were not synced for 2 hours",
    "who_must_act": "operator",
    "action": "Look at the last run of the sync.",
}
_FLOW_RUN: Mapping[str, Schema] = {
    "flow": _id("flow", "flow"),
    "run": _id("frun", "run of the flow"),
    "version": {"type": "integer", "description": "Number of the version that ran"},
    "trigger": _text("schedule, event, hook, api or manual"),
    "error": _ERROR,
}
_FLOW_RUN_SAMPLE: dict[str, Any] = {
    "flow": "flow_0193500000007000800000000000000d",
    "run": "frun_0193500000007000800000000000000e",
    "version": 3,
    "trigger": "event",
    "error": None,
}
_ENDPOINT, _DELIVERY = _id("whe", "webhook endpoint"), _id("whd", "delivery")
_ENDPOINT_ID = "whe_0193500000007000800000000000000b"
_REFUSED = {**_FAILURE, "code": "VALIDATION_FAILED", "category": "validation", "who_must_act": "developer"}


def _connection(when: str, status: str, **more: tuple[Schema, Any]) -> EventFacts:
    data = {**_CONNECTION, **{name: schema for name, (schema, _) in more.items()}}
    sample = {"system": "tryton", "status": status, **{name: value for name, (_, value) in more.items()}}
    return EventFacts(when, data, sample, more="connections.md#status")


def _write(when: str, **facts: Any) -> EventFacts:
    return EventFacts(when, _OPERATION, {**_OPERATION_SAMPLE, **facts}, more="writing-back.md", reason="operation")


CATALOGUE: Mapping[EventType, EventFacts] = {
    EventType.RECORD_CREATED: EventFacts(
        "records are new in the copy, told page by page as it is committed",
        _RECORDS,
        _RECORDS_SAMPLE,
        reason="incremental",
    ),
    EventType.RECORD_UPDATED: EventFacts(
        "records changed, or came back", _RECORDS, _RECORDS_SAMPLE, reason="incremental"
    ),
    EventType.RECORD_DELETED: EventFacts("records are gone at the source", _RECORDS, _RECORDS_SAMPLE, reason="full"),
    EventType.SYNC_COMPLETED: EventFacts("a run completed", _RUN, _RUN_SAMPLE, reason="incremental"),
    EventType.SYNC_FAILED: EventFacts(
        "a run failed", _RUN, {**_RUN_SAMPLE, "error": _FAILURE}, reason="incremental", more="sync-status.md"
    ),
    EventType.SYNC_NEEDS_REVIEW: EventFacts(
        "a run holds deletions until a person decides",
        _RUN,
        {**_RUN_SAMPLE, "mode": "full"},
        reason="full",
        more="sync-status.md#held-deletions",
    ),
    EventType.INITIAL_SYNC_COMPLETED: EventFacts("every entity of the connection was read once", reason="initial"),
    EventType.NEEDS_REAUTH: _connection(
        "the customer must sign in again",
        "needs_reauth",
        error=(_ERROR, {**_FAILURE, "code": "AUTHENTICATION_FAILED", "category": "auth", "who_must_act": "customer"}),
    ),
    EventType.OFFLINE: _connection("the system does not answer", "offline", error=(_ERROR, _FAILURE)),
    EventType.ONLINE: _connection(
        "the system answers again", "active", previous=(_text("Status of the connection before"), "offline")
    ),
    EventType.DISCONNECTED: _connection("the connection was ended", "disconnected"),
    EventType.OPERATION_SUCCEEDED: _write("a write was done in the system"),
    EventType.OPERATION_FAILED: _write("a write was refused or given up", error=_REFUSED),
    EventType.OPERATION_NEEDS_REVIEW: _write("a person must say how a write ended"),
    EventType.FLOW_SUCCEEDED: EventFacts(
        "a run of a flow succeeded", _FLOW_RUN, _FLOW_RUN_SAMPLE, more="flows.md", reason="flow", about_connection=False
    ),
    EventType.FLOW_FAILED: EventFacts(
        "a run of a flow failed for good",
        _FLOW_RUN,
        {**_FLOW_RUN_SAMPLE, "error": _REFUSED},
        more="flows.md",
        reason="flow",
        about_connection=False,
    ),
    EventType.ISSUE_OPENED: EventFacts("something needs attention", _ISSUE, _ISSUE_SAMPLE, more="health.md"),
    EventType.ISSUE_RESOLVED: EventFacts("an issue is over", _ISSUE, _ISSUE_SAMPLE, more="health.md"),
    EventType.ENDPOINT_DISABLED: EventFacts(
        "a webhook endpoint was disabled",
        {"endpoint": _ENDPOINT, "reason": _text("Why, in words")},
        {"endpoint": _ENDPOINT_ID, "reason": "Nothing but failure for 5 days."},
        more="webhooks.md#failures",
        about_connection=False,
    ),
    EventType.DELIVERY_EXHAUSTED: EventFacts(
        "a delivery was given up after its last attempt",
        {"endpoint": _ENDPOINT, "delivery": _DELIVERY, "event": _id("evt", "event that was not delivered")},
        {
            "endpoint": _ENDPOINT_ID,
            "delivery": "whd_0193500000007000800000000000000c",
            "event": "evt_0193500000007000800000000000000a",
        },
        more="webhooks.md#schedule",
        about_connection=False,
    ),
}


EVERY_CUSTOM = "custom.*"
"""Stands for all types that flows of the workspace emit, wherever types are chosen."""
MOST_TYPE_CHARACTERS = 60
_CUSTOM = re.compile(r"custom(\.[a-z][a-z0-9_]*)+")


def is_event_type(name: str) -> bool:
    """Whether events can be of this type: one of the catalogue, or one that a flow emits, such as `custom.order.late`."""
    return name in CATALOGUE or (len(name) <= MOST_TYPE_CHARACTERS and _CUSTOM.fullmatch(name) is not None)


def is_choice_of_types(name: str) -> bool:
    """Whether it names types where some are chosen: a type, or `custom.*`."""
    return name == EVERY_CUSTOM or is_event_type(name)


def sample_event(type: EventType, **frame: Any) -> dict[str, Any]:
    """An event of this type as readers get it. `frame` replaces what stands beside `data`, or `data` itself."""
    facts = CATALOGUE[type]
    origin = (
        facts.sample.get("operation")
        or (_FLOW_RUN_SAMPLE["run"] if facts.reason == "flow" else None)
        or (_RUN_SAMPLE["run"] if facts.reason else None)
    )
    return {
        "id": "evt_0193500000007000800000000000000a",
        "type": type.value,
        "timestamp": "2026-03-01T08:00:00.000000Z",
        "workspace": "ws_01935000000070008000000000000001",
        "connection": "con_01935000000070008000000000000002" if facts.about_connection else None,
        "position": 4711,
        "reason": facts.reason,
        "origin_run": origin,
        "data": dict(facts.sample),
        **frame,
    }


def markdown_table() -> str:
    """The table of types in docs/guides/events.md."""
    rows = [_row(type, facts) for type, facts in CATALOGUE.items()]
    return "\n".join(["| Type | Told when | `data` |", "|---|---|---|", *rows]) + "\n"


def _row(type: EventType, facts: EventFacts) -> str:
    names = ", ".join(f"`{name}`" for name in facts.data) or "empty"
    more = f" ([more]({facts.more}))" if facts.more else ""
    return f"| `{type.value}` | {facts.when}{more} | {names} |"
