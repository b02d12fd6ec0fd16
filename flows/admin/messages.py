"""Messages that came to addresses of flows, and what became of each."""

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

from core import ids
from core.admin import HistoryAdmin, TenantAdmin, badge
from core.admin_texts import absolute, json_block, moment, number
from core.redaction import redact, redact_text
from flows.admin.run_filters import FlowFilter
from flows.choices import MESSAGE_BADGES, HookMessageStatus
from flows.models import FlowHookMessage

__all__ = ["FlowHookMessageAdmin"]

SHOWN_CHARACTERS = 20_000


@admin.register(FlowHookMessage)
class FlowHookMessageAdmin(HistoryAdmin, TenantAdmin):
    """The messages of the last 14 days, as they came."""

    list_display = ("shown_at", "status_badge", "shown_flow", "shown_run", "error", "workspace")
    list_display_links = ("shown_at",)
    list_filter = ("status", FlowFilter, "workspace")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("flow__name",)
    search_help_text = "Name of the flow, or id of a message (fmsg_ and 32 hex digits)."
    actions = ()
    fields = (
        "shown_id", "status_badge", "error", "shown_flow", "shown_run", "shown_received", "shown_headers", "shown_size",
        "shown_body",
    )  # fmt: skip
    readonly_fields = fields
    status_badge = badge("status", MESSAGE_BADGES, dict(HookMessageStatus.choices))

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowHookMessage]:
        rows: QuerySet[FlowHookMessage] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        rows = rows.select_related("flow", "workspace").defer("flow__draft", "flow__bindings")
        return rows.defer("body", "headers") if name == "flows_flowhookmessage_changelist" else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FlowHookMessage], search_term: str
    ) -> tuple[QuerySet[FlowHookMessage], bool]:
        value = ids.read(FlowHookMessage.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[FlowHookMessage], bool] = super().get_search_results(request, queryset, search_term)
        return found

    @display(description="Id")
    def shown_id(self, message: FlowHookMessage) -> str | None:
        return ids.show(FlowHookMessage.PREFIX, message.pk)

    @display(description="Received")
    def shown_at(self, message: FlowHookMessage) -> SafeString | str:
        return moment(message.received_at)

    @display(description="Received")
    def shown_received(self, message: FlowHookMessage) -> str:
        return absolute(message.received_at)

    @display(description="Flow")
    def shown_flow(self, message: FlowHookMessage) -> SafeString:
        address = reverse("admin:flows_flow_change", args=[message.flow_id])
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, message.flow.name)

    @display(description="Run", empty_value="—")
    def shown_run(self, message: FlowHookMessage) -> SafeString | None:
        if message.run_id is None:
            return None
        address = reverse("admin:flows_flowrun_change", args=[message.run_id])
        return format_html('<a class="lsh-link" href="{}">The run</a>', address)

    @display(description="Headers")
    def shown_headers(self, message: FlowHookMessage) -> SafeString:
        return json_block(message.headers)

    @display(description="Bytes")
    def shown_size(self, message: FlowHookMessage) -> str:
        return number(len(message.body))

    @display(description="Body, secrets cut")
    def shown_body(self, message: FlowHookMessage) -> SafeString | str:
        text = bytes(message.body).decode("utf-8", "replace")
        try:
            shown = json.dumps(redact(json.loads(text)), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            shown = redact_text(text[:SHOWN_CHARACTERS])
        return format_html('<pre class="lsh-json">{}</pre>', shown[:SHOWN_CHARACTERS]) if shown else "nothing"
