"""Messages of systems: what came, whether it was believed, and what it made sync."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from connections.models import Connection
from connections.screen_texts import entity_title
from core import ids
from core.admin import HistoryAdmin, badge
from core.admin_buttons import Button, ButtonAdmin
from core.admin_texts import absolute, json_block, moment, number, two_lines
from core.redaction import redact, redact_text
from webhooks.choices import HOOK_BADGES, HookStatus
from webhooks.models import InboundHook
from webhooks.services.inbound import try_again

__all__ = ["InboundHookAdmin"]

SHOWN_CHARACTERS = 20_000


@admin.register(InboundHook)
class InboundHookAdmin(HistoryAdmin, ButtonAdmin):
    """The messages of the last 14 days. The address they come to is made on the page of the connection."""

    list_display = ("shown_at", "status_badge", "shown_connection", "shown_entities", "error", "workspace")
    list_display_links = ("shown_at",)
    list_filter = ("status", "workspace")
    list_select_related = ("connection", "workspace")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("connection__name",)
    search_help_text = "Name or id of the connection (con_ and 32 hex digits), or id of a message (hook_...)."
    actions = ()
    fields = (
        "shown_id", "status_badge", "error", "shown_connection", "shown_received", "shown_done", "shown_entities",
        "message_id", "shown_headers", "shown_size", "shown_body",
    )  # fmt: skip
    readonly_fields = fields
    buttons: Sequence[Button] = (Button("again", "Try again", "replay", "primary"),)
    change_form_outer_before_template = "core/buttons.html"
    status_badge = badge("status", HOOK_BADGES, dict(HookStatus.choices))

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundHook]:
        rows: QuerySet[InboundHook] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        return rows.defer("body", "headers") if name == "webhooks_inboundhook_changelist" else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[InboundHook], search_term: str
    ) -> tuple[QuerySet[InboundHook], bool]:
        for prefix, column in ((Connection.PREFIX, "connection_id"), (InboundHook.PREFIX, "pk")):
            value = ids.read(prefix, search_term.strip())
            if value is not None:
                return queryset.filter(**{column: value}), False
        found: tuple[QuerySet[InboundHook], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra: dict[str, Any] = dict(extra_context or {})
        hook = self.get_object(request, object_id) if object_id else None
        if hook is not None:
            extra |= {"buttons": self.offered_buttons(request, hook)}
        return super().changeform_view(request, object_id, form_url, extra)

    def row_name(self, row: Any) -> str:
        return f"Message of {absolute(row.received_at)}"

    # --- tried again ------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: InboundHook) -> Sequence[Button]:
        """What was not believed stays so: it cannot be verified a second time."""
        return self.buttons if row.status == HookStatus.FAILED and row.done_at is not None else ()

    def press_again(self, request: HttpRequest, hook: InboundHook) -> str:
        if try_again(hook):
            return "It is worked off again within seconds."
        return "Nothing was changed: it did not fail, or its signature was never verified."

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Id")
    def shown_id(self, hook: InboundHook) -> str | None:
        return ids.show(InboundHook.PREFIX, hook.pk)

    @display(description="Received")
    def shown_at(self, hook: InboundHook) -> SafeString | str:
        return moment(hook.received_at)

    @display(description="Received")
    def shown_received(self, hook: InboundHook) -> str:
        return absolute(hook.received_at)

    @display(description="Worked off")
    def shown_done(self, hook: InboundHook) -> str:
        return absolute(hook.done_at) if hook.done_at else "—"

    @display(description="Connection")
    def shown_connection(self, hook: InboundHook) -> SafeString:
        address = reverse("admin:connections_connection_change", args=[hook.connection_id])
        link = format_html('<a class="lsh-link" href="{}">{}</a>', address, hook.connection.name)
        return two_lines(link, ids.show(Connection.PREFIX, hook.connection_id))

    @display(description="Syncs", empty_value="—")
    def shown_entities(self, hook: InboundHook) -> str | None:
        return ", ".join(entity_title(entity) for entity in hook.entities) or None

    @display(description="Headers")
    def shown_headers(self, hook: InboundHook) -> SafeString:
        return json_block(hook.headers)

    @display(description="Bytes")
    def shown_size(self, hook: InboundHook) -> str:
        return number(len(hook.body))

    @display(description="Body, secrets cut")
    def shown_body(self, hook: InboundHook) -> SafeString | str:
        text = bytes(hook.body).decode("utf-8", "replace")
        try:
            shown = json.dumps(redact(json.loads(text)), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            shown = redact_text(text[:SHOWN_CHARACTERS])
        return format_html('<pre class="lsh-json">{}</pre>', shown[:SHOWN_CHARACTERS]) if shown else "nothing"
