"""Derived states on lists and panels: asked of the service once a page, never once a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from unfold.views import ChangeList

from connections.models import Connection
from connections.screen_texts import entity_title
from syncs.choices import STATE_BADGES, SyncState
from syncs.models import Sync
from syncs.services import ConnectionSyncStatus, EntitySyncStatus, sync_status

__all__ = ["entity_row", "state_colour", "state_label", "statuses_by_connection", "statuses_by_sync", "with_statuses"]


def state_label(state: str) -> str:
    return str(SyncState(state).label)


def state_colour(state: str) -> str:
    return STATE_BADGES[SyncState(state)]


def statuses_by_connection(connections: Sequence[Connection]) -> dict[UUID, ConnectionSyncStatus]:
    return {status.connection_id: status for status in sync_status(connections)}


def statuses_by_sync(syncs: Sequence[Sync]) -> dict[UUID, EntitySyncStatus]:
    """By sync; those that are not shared have none."""
    connections = list({sync.connection_id: sync.connection for sync in syncs}.values())
    return {entity.sync_id: entity for status in sync_status(connections) for entity in status.entities}


def with_statuses(find: Callable[[Sequence[Any]], dict[UUID, Any]]) -> type[ChangeList]:
    """A list whose rows each carry `status_now`, found for the whole page at once, and `seen_by`, the request."""

    class StatusChangeList(ChangeList):
        def get_results(self, request: HttpRequest) -> None:
            super().get_results(request)
            rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # Django's own attribute
            self.result_list, found = rows, find(rows)
            for row in rows:
                row.status_now, row.seen_by = found.get(row.pk), request

    return StatusChangeList


def entity_row(status: EntitySyncStatus) -> dict[str, Any]:
    """One entity of a connection as panels show it."""
    return {
        "status": status,
        "title": entity_title(status.entity),
        "label": state_label(status.status),
        "colour": state_colour(status.status),
    }
