"""Which types of events a definition may name. The feed's own list is in a room with Django; a test keeps them equal."""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["EVENT_TYPES", "EVERY_CUSTOM", "is_choice_of_types"]

EVENT_TYPES = frozenset(
    [
        "connection.disconnected",
        "connection.initial_sync_completed",
        "connection.needs_reauth",
        "connection.offline",
        "connection.online",
        "flow.failed",
        "flow.succeeded",
        "issue.opened",
        "issue.resolved",
        "operation.failed",
        "operation.needs_review",
        "operation.succeeded",
        "record.created",
        "record.deleted",
        "record.updated",
        "sync.completed",
        "sync.failed",
        "sync.needs_review",
        "webhook_delivery.exhausted",
        "webhook_endpoint.disabled",
    ]
)
EVERY_CUSTOM = "custom.*"
_CUSTOM = re.compile(r"custom(\.[a-z][a-z0-9_]*)+")
_MOST_CHARACTERS = 60


def is_choice_of_types(name: str, known: Collection[str] = EVENT_TYPES) -> bool:
    """A type of the feed, one that a flow emits (`custom.order.late`), or `custom.*` for all of these."""
    is_custom = len(name) <= _MOST_CHARACTERS and _CUSTOM.fullmatch(name) is not None
    return name in known or name == EVERY_CUSTOM or is_custom
