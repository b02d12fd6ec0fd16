"""Examples of the published schema."""

from __future__ import annotations

from typing import Any

from workspaces.api.tokens import TOKEN_EXAMPLE

SYSTEM: dict[str, Any] = {
    "slug": "tryton",
    "title": "Tryton",
    "summary": "Open-source ERP",
    "docs": "https://docs.tryton.org/",
    "version": "1",
    "simulated": False,
    "entities": ["purchase_order", "vendor"],
}
_NOT_CREATED: dict[str, Any] = {
    "supported": False,
    "reason": {"code": "platform", "detail": "The connector of Tryton does not create a vendor."},
    "rules": [],
}
CAPABILITY: dict[str, Any] = {
    "entity": "vendor",
    "title": "Vendor",
    "supported": True,
    "operations": {
        "read": {"supported": True, "reason": None, "rules": []},
        "create": _NOT_CREATED,
        "update": {"supported": True, "reason": None, "rules": []},
        "delete": {
            "supported": False,
            "reason": {
                "code": "permission",
                "detail": "The account of this connection may not delete vendors in Tryton; its administrator can allow it.",
            },
            "rules": [],
            "delete_kind": "deactivate",
            "kinds": [{"kind": "deactivate", "only_status": [], "note": ""}],
        },
    },
    "actions": {},
    "changes": {"detection": "since", "touched_by": ["addresses"], "overlap_seconds": 600.0},
    "read_one": True,
    "filterable": ["number", "name"],
    "fields": {
        "name": {
            "kind": "string",
            "readable": True,
            "required": False,
            "writable": True,
            "writable_in": ["update"],
            "writable_in_status": None,
            "reasons": {},
        },
        "number": {
            "kind": "string",
            "readable": True,
            "required": False,
            "writable": False,
            "writable_in": [],
            "writable_in_status": None,
            "reasons": {"update": {"code": "source", "detail": "number cannot be written in this system."}},
        },
    },
    "note": "",
}
NEW_OVERRIDE: dict[str, Any] = {
    "entity": "purchase_order",
    "operation": "update",
    "field": "lines.quantity",
    "reason": "Quantities are changed in the ERP only.",
}
OVERRIDE: dict[str, Any] = {
    "id": "cov_0192f0c1a2b34c5d8e9f00112233aabb",
    **NEW_OVERRIDE,
    "created_by": "ops@acme.example",
    "created_at": "2026-11-24T08:00:00Z",
}
ONE_SYSTEM: dict[str, Any] = {
    **SYSTEM,
    "config": [
        {
            "name": "base_url",
            "label": "Base url",
            "help": "Address of the server",
            "kind": "url",
            "required": True,
            "default": None,
            "choices": [],
            "is_host": True,
        }
    ],
    "limits": {"per_minute": 300, "concurrency": 4, "reserve_for_operations": 0.2, "page_size": 100},
    "capabilities": {"vendor": CAPABILITY},
}
ERROR: dict[str, Any] = {
    "code": "AUTHENTICATION_FAILED",
    "category": "auth",
    "message": "The system refuses the sign-in.",
    "who_must_act": "customer",
    "retryable": False,
    "action": "Ask the customer for valid credentials, enter them on the connection and save.",
    "source": {"status": 401, "code": None, "message": None},
}
CHECK: dict[str, Any] = {
    "ok": True,
    "checks": [
        {"name": "reachable", "ok": True, "detail": "The system answers.", "code": ""},
        {"name": "signed_in", "ok": True, "detail": "Signed in as integration.", "code": ""},
        {"name": "vendor_readable", "ok": True, "detail": "Readable.", "code": ""},
    ],
    "error": None,
}
FAILED_CHECK: dict[str, Any] = {
    "ok": False,
    "checks": [
        {"name": "reachable", "ok": True, "detail": "The system answers.", "code": ""},
        {"name": "signed_in", "ok": False, "detail": ERROR["message"], "code": ERROR["code"]},
    ],
    "error": ERROR,
}
CONNECTION: dict[str, Any] = {
    "id": "con_01935000000070008000000000000002",
    "name": "Nordwerk, Kiel plant",
    "system": "tryton",
    "environment": "live",
    "status": "active",
    "paused": False,
    "customer_reference": "cust_4711",
    "metadata": {"region": "north"},
    "time_zone": "Europe/Berlin",
    "config": {"base_url": "https://erp.nordwerk.example"},
    "secrets": ["password"],
    "secret_references": {},
    "ca_certificate": "",
    "client_certificate": "",
    "has_client_key": False,
    "proxy": "",
    "page_size": None,
    "account": "integration",
    "system_version": "8.2",
    "checked_at": "2026-03-01T08:00:00Z",
    "error": None,
    "shared": {"purchase_order": "read_write", "vendor": "read"},
    "passthrough_shared": False,
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:00Z",
}
PENDING: dict[str, Any] = {**CONNECTION, "status": "pending", "account": "", "system_version": "", "error": ERROR}
NEW: dict[str, Any] = {
    "system": "tryton",
    "name": CONNECTION["name"],
    "config": CONNECTION["config"],
    "secrets": {"password": "..."},
    "customer_reference": "cust_4711",
    "metadata": {"region": "north"},
    "time_zone": "Europe/Berlin",
}
RECONNECT: dict[str, Any] = {"secrets": {"password": "..."}}
PURGING: dict[str, Any] = {"id": CONNECTION["id"], "status": "purging"}
CHANGE: dict[str, Any] = {"secrets": {"password": "..."}, "metadata": {"region": None}}
HEALTH: dict[str, Any] = {
    "status": "offline",
    "paused": False,
    "checked_at": "2026-03-01T08:00:00Z",
    "account": "integration",
    "system_version": "8.2",
    "failures_in_row": 6,
    "circuit_open_until": "2026-03-02T09:30:00Z",
    "offline_since": "2026-03-02T09:20:00Z",
    "next_poll_at": "2026-03-02T09:31:00Z",
    "error": {
        **ERROR,
        "code": "CONNECTION_REFUSED",
        "category": "transient",
        "message": "erp.nordwerk.example refused the connection: nothing listens on that port, or a firewall rejects it.",
        "who_must_act": "source",
        "retryable": True,
        "action": "Nothing to do: it is tried again by itself. If it lasts, ask who runs the system.",
        "source": None,
    },
}
_VERSION: dict[str, Any] = {
    "id": "map_01935000000070008000000000000006",
    "version": 1,
    "created_at": "2026-03-01T08:00:00Z",
    "created_by": "connector",
    "reason": "",
    "restores": None,
}
_OWN_VERSION: dict[str, Any] = {
    **_VERSION,
    "id": "map_01935000000070008000000000000007",
    "created_by": "token tok_...",
    "reason": "Nordwerk rates its vendors",
}
MAPPING: dict[str, Any] = {
    "entity": "vendor",
    "default": _VERSION,
    "override": _OWN_VERSION,
    "base_version": 1,
    "rows": [
        {
            "target": "custom.rating",
            "source": "x_rating",
            "transforms": [],
            "name_source": None,
            "items": [],
            "read_only": False,
            "write": None,
            "type": "integer",
            "title": "Rating",
            "origin": "override",
            "removed": False,
        }
    ],
}
MAPPING_SUMMARIES: list[dict[str, Any]] = [
    {
        "entity": "purchase_order",
        "default_version": 2,
        "override_version": None,
        "row_count": 14,
        "overridden_targets": [],
        "url": f"/api/v1/connections/{CONNECTION['id']}/mappings/purchase-orders",
    },
    {
        "entity": "vendor",
        "default_version": 1,
        "override_version": 1,
        "row_count": 9,
        "overridden_targets": ["custom.rating", "description"],
        "url": f"/api/v1/connections/{CONNECTION['id']}/mappings/vendors",
    },
]
ROWS: dict[str, Any] = {
    "rows": [
        {"target": "custom.rating", "source": "x_rating", "type": "integer", "title": "Rating"},
        {"target": "currency", "source": "currency.code", "transforms": [{"name": "default", "value": "EUR"}]},
        {"target": "description"},
    ]
}
VERSIONS: list[dict[str, Any]] = [{**_OWN_VERSION, "is_current": True, "row_count": 1}]
ONE_VERSION: dict[str, Any] = {
    "version": 1,
    "against": 0,
    "rows": [{"target": "custom.rating", "source": "x_rating", "type": "integer", "title": "Rating"}],
    "changes": [
        {
            "target": "custom.rating",
            "kind": "added",
            "before": None,
            "after": {"source": "x_rating", "type": "integer", "title": "Rating"},
            "parts": [],
        }
    ],
}
DOCUMENT: dict[str, Any] = {
    "format": "lineshaft.mapping/1",
    "system": "tryton",
    "entity": "vendor",
    "rows": ONE_VERSION["rows"],
}
PREVIEW: dict[str, Any] = {
    "data": [{"remote_id": "77", "unified": {"name": "Nordring Dichtungen GmbH"}, "error": None, "raw": {"id": 77}}]
}
TOKEN: dict[str, Any] = {
    **TOKEN_EXAMPLE,
    "id": "tok_01935000000070008000000000000008",
    "name": "Portal of Nordwerk",
    "prefix": "lsh_live_7hTq20xYbC4d_",
    "connection": CONNECTION["id"],
}
NEW_TOKEN: dict[str, Any] = {name: TOKEN[name] for name in ("name", "scopes", "expires_at", "allowed_networks")}
CALL: dict[str, Any] = {
    "id": "call_01935000000070008000000000000009",
    "connection_id": CONNECTION["id"],
    "run_id": "run_01935000000070008000000000000003",
    "operation_id": None,
    "triggered_by": "",
    "position": 7,
    "method": "GET",
    "url": "https://erp.nordwerk.example/api/orders?limit=100&cursor=0%3A1100",
    "status": 500,
    "error_code": "",
    "started_at": "2026-03-01T08:00:00.214000Z",
    "elapsed_ms": 812.4,
    "request_bytes": 214,
    "response_bytes": 301,
    "request_body": "",
    "response_body": '{"message": "deadlock detected"}',
}
RAW_CALL: dict[str, Any] = {"method": "GET", "path": "/v1/meters", "query": {"site": "north", "limit": 2}}
RAW_ANSWER: dict[str, Any] = {
    "status": 200,
    "headers": {"content-type": "application/json"},
    "body": {"items": [{"id": "17", "reading": "4711.5"}]},
    "encoding": "json",
}
