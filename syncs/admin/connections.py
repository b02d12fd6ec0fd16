"""The screen of a connection with what this room knows: its sync states, and buttons that start its syncs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.views import ChangeList

from connections.choices import MAY_SYNC
from connections.models import Connection
from core import ids
from core.admin import badge
from core.admin_buttons import Button, Question
from core.admin_texts import moment, plural
from syncs.admin import mapping_trials
from syncs.admin.operation_facts import latest_operations
from syncs.admin.states import entity_row, state_colour, state_label, statuses_by_connection, with_statuses
from syncs.admin.telling import request_runs
from syncs.choices import STATE_BADGES, Mode, SyncState
from syncs.models import Sync, SyncHistory
from syncs.services import sync_status
from webhooks.admin.connections import HookedConnectionAdmin
from workspaces.changes import Source

admin.site.unregister(Connection)


@admin.register(Connection)
class SyncedConnectionAdmin(HookedConnectionAdmin):
    """Connections with their syncs."""

    list_display = (
        "name", "shown_system", "status_badge", "state_badge", "last_success", "environment_badge",
        "customer_reference", "workspace",
    )  # fmt: skip
    state_badge = badge(
        lambda row: row.status_now.status, STATE_BADGES, dict(SyncState.choices), description="Sync state"
    )
    buttons = (
        *HookedConnectionAdmin.buttons[:1],
        Button("sync_all", "Sync all now", "sync"),
        Button("full_sync_all", "Full sync", "sync_lock", asks=True),
        *HookedConnectionAdmin.buttons[1:],
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return with_statuses(statuses_by_connection)

    @display(description="Last success")
    def last_success(self, row: Any) -> SafeString | str:
        return moment(row.status_now.last_successful_sync_at)

    def history_sources(self, row: Connection) -> Sequence[Source]:
        syncs = SyncHistory.objects.filter(connection_id=row.pk)
        return [*super().history_sources(row), Source(syncs, lambda each: f"Sync of {each.entity}")]

    # --- mappings -------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """What the editor of mappings asks while one edits."""
        views = {"preview": self.mapping_preview_view, "progress": self.mapping_progress_view}
        own = [
            path(
                f"<uuid:object_id>/mapping/<slug:entity>/{name}/",
                self.admin_site.admin_view(view),
                name=f"connections_connection_mapping_{name}",
            )
            for name, view in views.items()
        ]
        return own + super().get_urls()

    def mapping_extras(self, request: HttpRequest, connection: Connection, entity: str) -> dict[str, Any]:
        return mapping_trials.mapping_extras(connection, entity)

    def mapping_preview_view(self, request: HttpRequest, object_id: UUID, entity: str) -> HttpResponse:
        return mapping_trials.preview_view(self, request, self.row_or_404(request, object_id), entity)

    def mapping_progress_view(self, request: HttpRequest, object_id: UUID, entity: str) -> HttpResponse:
        return mapping_trials.progress_view(self, request, self.row_or_404(request, object_id), entity)

    # --- its page -------------------------------------------------------------------------------------------------

    def panel_context(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        (status,) = sync_status([connection])
        return {
            **super().panel_context(request, connection),
            "sync_label": f"Syncs: {state_label(status.status)}",
            "sync_colour": state_colour(status.status),
            "entities": [entity_row(entity) for entity in status.entities],
            "links": [*_links(connection), *self.hook_links(request, connection)],
            "extra_panel": "syncs/connection_panel.html",
            **latest_operations(connection),
        }

    def fitting_buttons(self, request: HttpRequest, row: Connection) -> list[Button]:
        """Nothing can be synced while the connection is paused or waits for a person."""
        may_sync = not row.paused and row.health in MAY_SYNC
        offered = super().fitting_buttons(request, row)
        return [button for button in offered if may_sync or button.name not in ("sync_all", "full_sync_all")]

    def press_sync_all(self, request: HttpRequest, connection: Connection) -> str:
        return self._run_all(request, connection, Mode.INCREMENTAL)

    def ask_full_sync_all(self, request: HttpRequest, connection: Connection) -> Question:
        count = len(_runnable(connection))
        return Question(
            title=f"Read everything of “{connection.name}” again?",
            lines=[
                f"{plural(count, 'full run')} will be queued. Each reads every object of its entity from the system, "
                "which takes calls and time, and finds what was deleted there."
            ],
            yes="Yes, start full runs",
            variant="primary",
        )

    def press_full_sync_all(self, request: HttpRequest, connection: Connection) -> str:
        return self._run_all(request, connection, Mode.FULL)

    def _run_all(self, request: HttpRequest, connection: Connection, mode: Mode) -> str:
        told, refused = request_runs(_runnable(connection), mode, by=str(request.user))
        for reason in refused:
            messages.error(request, reason)
        if not told and not refused:
            messages.warning(request, "There is nothing to sync: every sync is paused or off, or none was made yet.")
        return told


def _runnable(connection: Connection) -> Sequence[Sync]:
    rows = Sync.objects.filter(connection=connection, paused=False).shared()
    return list(rows.select_related("connection").order_by("entity"))


def _links(connection: Connection) -> list[dict[str, str]]:
    """To related rows."""
    shown, here = ids.show(Connection.PREFIX, connection.pk), {"connection": str(connection.pk)}
    places = [
        ("Syncs", "admin:syncs_sync_changelist", here),
        ("Runs", "admin:syncs_syncrun_changelist", here),
        ("Records", "admin:syncs_record_changelist", here),
        ("Operations", "admin:syncs_operation_changelist", here),
        ("Quarantine", "admin:syncs_quarantinedrecord_changelist", here),
        ("Events", "admin:workspaces_event_changelist", {"q": str(shown)}),
    ]
    return [{"label": label, "address": f"{reverse(name)}?{urlencode(query)}"} for label, name, query in places]
