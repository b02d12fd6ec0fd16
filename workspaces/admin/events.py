"""The feed."""

from __future__ import annotations

import json
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from core import ids
from core.admin import HistoryAdmin, TenantAdmin
from workspaces.models import Event


@admin.register(Event)
class EventAdmin(HistoryAdmin, TenantAdmin):
    """The feed as it was written. Nothing in it can be changed."""

    list_display = ("position", "type", "shown_connection", "workspace", "environment", "created_at")
    list_display_links = ("position", "type")
    list_filter = ("type", "environment", "workspace")
    list_select_related = ("workspace",)
    ordering = ("-created_at",)
    search_fields = ("connection_id",)
    search_help_text = "Id of a connection: con_ and 32 hex digits."
    fields = ("position", "type", "shown_connection", "workspace", "environment", "created_at",
              "shown_deliveries", "shown_body")  # fmt: skip
    readonly_fields = fields
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        return rows.defer("body") if name == "workspaces_event_changelist" else rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        if not search_term.strip():
            return queryset, False
        value = _connection_id(search_term.strip())
        return (queryset.filter(connection_id=value) if value else queryset.none()), False

    @display(description="Connection")
    def shown_connection(self, event: Event) -> str | None:
        return ids.show("con", event.connection_id)

    @display(description="Webhooks")
    def shown_deliveries(self, event: Event) -> str:
        """Who was told of it: the screen of a room above, which is named, not known."""
        address = reverse("admin:webhooks_delivery_changelist")
        shown = ids.show(Event.PREFIX, event.pk)
        return format_html('<a class="lsh-link" href="{}?event={}">Deliveries of this event</a>', address, shown)

    @display(description="Body")
    def shown_body(self, event: Event) -> str:
        pretty = json.dumps(json.loads(event.body), indent=2, ensure_ascii=False)
        return format_html('<pre class="overflow-x-auto whitespace-pre-wrap">{}</pre>', pretty)


def _connection_id(text: str) -> UUID | None:
    try:
        return ids.read("con", text) or UUID(text)
    except ValueError:
        return None
