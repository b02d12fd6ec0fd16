"""The admin theme: name, colours, sidebar."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

MEMBERS = "console.navigation.belongs_somewhere"
OPERATORS = "console.navigation.is_operator"


def _entry(title: str, icon: str, name: str, permission: str = MEMBERS) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": permission}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Lineshaft",
    "SITE_HEADER": "Lineshaft",
    "SITE_SYMBOL": "conveyor_belt",
    "SITE_URL": reverse_lazy("admin:index"),
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("core/icon.svg")},
    ],
    "STYLES": [lambda request: static("core/screens.css")],
    "COLORS": {
        "primary": {
            "50": "#f0fdfa",
            "100": "#ccfbf1",
            "200": "#99f6e4",
            "300": "#5eead4",
            "400": "#2dd4bf",
            "500": "#14b8a6",
            "600": "#0f766e",
            "700": "#115e59",
            "800": "#134e4a",
            "900": "#0f3f3c",
            "950": "#042f2e",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": "Home", "icon": "monitoring", "link": reverse_lazy("admin:index")},
                    _entry("Issues", "notification_important", "syncs_issue_changelist"),
                    _entry("Connections", "hub", "connections_connection_changelist"),
                    _entry("Links", "link", "connections_linksession_changelist"),
                    _entry("Syncs", "sync", "syncs_sync_changelist"),
                    _entry("Runs", "history", "syncs_syncrun_changelist"),
                    _entry("Records", "database", "syncs_record_changelist"),
                    _entry("Operations", "edit_note", "syncs_operation_changelist"),
                    _entry("Quarantine", "report", "syncs_quarantinedrecord_changelist"),
                    _entry("Calls", "swap_calls", "connections_upstreamcall_changelist"),
                    _entry("Events", "rss_feed", "workspaces_event_changelist"),
                    _entry("Webhooks", "webhook", "webhooks_webhookendpoint_changelist"),
                    _entry("Deliveries", "outbox", "webhooks_delivery_changelist"),
                    _entry("Inbound", "move_to_inbox", "webhooks_inboundhook_changelist"),
                ],
            },
            {
                "title": "Workflows",
                "separator": True,
                "items": [
                    _entry("Flows", "account_tree", "flows_flow_changelist"),
                    _entry("Flow runs", "timeline", "flows_flowrun_changelist"),
                    _entry("Flow messages", "mark_email_unread", "flows_flowhookmessage_changelist"),
                ],
            },
            {
                "title": "Access",
                "separator": True,
                "items": [
                    _entry("Workspaces", "workspaces", "workspaces_workspace_changelist"),
                    _entry("Tokens", "key", "workspaces_apitoken_changelist"),
                    _entry("Systems", "extension", "connections_systemsettings_changelist"),
                    _entry("Audit log", "policy", "workspaces_auditevent_changelist"),
                    _entry("Logos", "image", "connections_systemlogo_changelist", OPERATORS),
                    _entry("Secret prefixes", "folder_limited", "workspaces_secretprefix_changelist"),
                    _entry("Encryption keys", "encrypted", "workspaces_datakey_changelist", OPERATORS),
                    _entry("Security", "shield", "security", "console.navigation.sees_security"),
                    _entry("People", "group", "auth_user_changelist", OPERATORS),
                ],
            },
        ],
    },
}
