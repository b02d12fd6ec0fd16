"""What a delivery is called and where it belongs to, as its receiver sees it."""

from __future__ import annotations

from uuid import UUID

from core import ids
from workspaces.models import Event

TEST_TYPE = "webhook.test"
"""Of a test that stands for no type of event. It is never in the feed."""


def message_id(event_id: UUID, part: int = 0) -> str:
    """The `webhook-id`: the event's id, the same at every attempt. Parts of a split payload are messages of their own."""
    shown = str(ids.show(Event.PREFIX, event_id))
    return f"{shown}_{part}" if part else shown
