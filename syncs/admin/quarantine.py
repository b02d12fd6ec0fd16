"""Objects that could not be copied, with the reason and the bytes as they came."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from connections.screen_texts import entity_title
from core.admin import HistoryAdmin, TenantAdmin
from core.admin_texts import json_block, moment, two_lines
from syncs.admin.filters import SyncConnectionFilter, SyncEntityFilter
from syncs.models import QuarantinedRecord


@admin.register(QuarantinedRecord)
class QuarantinedRecordAdmin(HistoryAdmin, TenantAdmin):
    """Each is tried again in every run and leaves when it can be copied."""

    list_display = ("shown_remote_id", "shown_sync", "shown_detail", "attempts", "last_seen")
    list_display_links = ("shown_remote_id",)
    list_filter = (SyncEntityFilter, SyncConnectionFilter, "code", "workspace")
    list_select_related = ("sync__connection",)
    ordering = ("-last_seen_at",)
    sortable_by = ()
    actions = ()
    fields = (
        "shown_remote_id", "shown_entity", "connection_name", "code", "detail", "attempts", "first_seen_at",
        "last_seen_at", "shown_raw",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedRecord]:
        rows: QuerySet[QuarantinedRecord] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        rows = rows.select_related("sync__connection")
        return rows.defer("raw") if name == "syncs_quarantinedrecord_changelist" else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    @display(description="Remote id")
    def shown_remote_id(self, item: QuarantinedRecord) -> str:
        return item.remote_id[:120] or "(none)"

    @display(description="Entity")
    def shown_entity(self, item: QuarantinedRecord) -> str:
        return entity_title(item.sync.entity)

    @display(description="Connection")
    def connection_name(self, item: QuarantinedRecord) -> SafeString:
        address = reverse("admin:connections_connection_change", args=[item.sync.connection_id])
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, item.sync.connection.name)

    @display(description="Sync")
    def shown_sync(self, item: QuarantinedRecord) -> SafeString:
        return two_lines(entity_title(item.sync.entity), self.connection_name(item))

    @display(description="Reason")
    def shown_detail(self, item: QuarantinedRecord) -> SafeString:
        return two_lines(item.detail[:200], item.code)

    @display(description="Last seen")
    def last_seen(self, item: QuarantinedRecord) -> SafeString | str:
        return moment(item.last_seen_at)

    @display(description="As it came")
    def shown_raw(self, item: QuarantinedRecord) -> SafeString:
        text = bytes(item.raw).decode(errors="replace")
        try:
            return json_block(json.loads(text))
        except (ValueError, RecursionError):
            return format_html('<pre class="lsh-json">{}</pre>', text)
