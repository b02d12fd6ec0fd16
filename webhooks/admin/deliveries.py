"""Deliveries: what was sent where, what came back, and once more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core import ids
from core.admin import HistoryAdmin, ReadOnlyAdmin, TenantInline, badge
from core.admin_buttons import Button, ButtonAdmin, NamedRow
from core.admin_texts import absolute, duration, json_block, moment, number, planned, two_lines
from webhooks.choices import DELIVERY_BADGES, DeliveryStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint
from webhooks.serializers import TEST_TYPES
from webhooks.services import message_id, resend
from workspaces.models import Event

__all__ = ["DeliveryAdmin"]

MOST_CHOICES = 200


class EndpointFilter(SimpleListFilter):
    """One endpoint, of those the person sees."""

    title, parameter_name = "endpoint", "endpoint"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = WebhookEndpoint.objects.order_by("-pk").only("pk", "description", "url")
        return [(str(row.pk), str(row)[:60]) for row in rows[:MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return _with_id(queryset, "endpoint_id", WebhookEndpoint.PREFIX, self.value())


class EventFilter(SimpleListFilter):
    """One event; pages of events lead here, so there is nothing to choose from."""

    title, parameter_name = "event", "event"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        chosen = request.GET.get("event")
        return [(chosen, "this one")] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return _with_id(queryset, "event_id", Event.PREFIX, self.value())


class TypeFilter(SimpleListFilter):
    """By type of event, without asking the history which there are."""

    title, parameter_name = "type", "type"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in TEST_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(event_type=self.value()) if self.value() else queryset


class AttemptInline(ReadOnlyAdmin, TenantInline):
    """Each attempt, newest first."""

    model = DeliveryAttempt
    verbose_name_plural = "attempts"
    fields = ("number", "shown_at", "shown_code", "took", "shown_answer")
    readonly_fields = fields
    show_change_link = False
    hide_title = True

    @display(description="Time")
    def shown_at(self, attempt: DeliveryAttempt) -> SafeString | str:
        return moment(attempt.at)

    @display(description="Answer")
    def shown_code(self, attempt: DeliveryAttempt) -> SafeString:
        return two_lines(attempt.status_code or "No answer", attempt.error_code)

    @display(description="Took")
    def took(self, attempt: DeliveryAttempt) -> str:
        return _took(attempt.elapsed_ms)

    @display(description="What came back")
    def shown_answer(self, attempt: DeliveryAttempt) -> SafeString | str:
        return format_html('<pre class="lsh-json">{}</pre>', attempt.answer) if attempt.answer else "nothing"


@admin.register(Delivery)
class DeliveryAdmin(HistoryAdmin, ButtonAdmin):
    """The log. Written by the platform, kept 30 days."""

    list_display: Sequence[str] = (
        "shown_made", "status_badge", "event_type", "shown_endpoint", "attempts", "shown_last", "shown_due",
    )  # fmt: skip
    list_display_links = ("shown_made", "event_type")
    list_filter = ("status", EndpointFilter, TypeFilter, EventFilter, "is_manual", "workspace")
    list_select_related = ("endpoint",)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("event_type",)
    search_help_text = "Id of a delivery, an event or an endpoint (whd_, evt_ or whe_ and 32 hex digits)."
    actions = ()
    inlines = (AttemptInline,)
    fields = (
        "shown_id", "status_badge", "event_type", "shown_endpoint", "shown_event", "shown_message_id", "workspace",
        "shown_created", "shown_next", "shown_delivered", "attempts", "shown_manual", "shown_body",
    )  # fmt: skip
    readonly_fields = fields
    change_form_outer_before_template = "webhooks/buttons.html"
    status_badge = badge("status", DELIVERY_BADGES, dict(DeliveryStatus.choices))
    buttons: Sequence[Button] = (Button("resend", "Send again", "replay", "primary"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        if name != "webhooks_delivery_changelist":
            return rows.select_related("endpoint", "workspace")
        last = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-number", "-id")
        return rows.defer("body").annotate(
            last_code=Subquery(last.values("status_code")[:1]), last_error=Subquery(last.values("error_code")[:1])
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        for prefix, column in (
            (Delivery.PREFIX, "pk"),
            (Event.PREFIX, "event_id"),
            (WebhookEndpoint.PREFIX, "endpoint_id"),
        ):
            value = ids.read(prefix, term)
            if value is not None:
                return queryset.filter(**{column: value}), False
        return (queryset.filter(event_type=term) if term else queryset), False

    def row_name(self, row: Delivery) -> str:
        return f"{row.event_type} of {absolute(row.created_at)}"

    # --- sending again ----------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra: dict[str, Any] = dict(extra_context or {})
        delivery = self.get_object(request, object_id) if object_id else None
        if delivery is not None:
            original = NamedRow(delivery, self.row_name(delivery))
            extra |= {"buttons": self.offered_buttons(request, delivery), "original": original}
        return super().changeform_view(request, object_id, form_url, extra)

    def may_press(self, request: HttpRequest, row: Any) -> bool:
        """The log itself is nobody's to change; who may change the endpoint may send to it."""
        return self._may(request, "change", row)

    def press_resend(self, request: HttpRequest, row: Delivery) -> str:
        made = resend(row, by=str(request.user))
        return f"It is sent again now, under the same message id: see {ids.show(Delivery.PREFIX, made.pk)} in the list."

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Id")
    def shown_id(self, row: Delivery) -> str | None:
        return ids.show(Delivery.PREFIX, row.pk)

    @display(description="Made")
    def shown_made(self, row: Delivery) -> SafeString | str:
        return moment(row.created_at)

    @display(description="Made")
    def shown_created(self, row: Delivery) -> str:
        return absolute(row.created_at)

    @display(description="Delivered")
    def shown_delivered(self, row: Delivery) -> str:
        return absolute(row.delivered_at) if row.delivered_at else "—"

    @display(description="Endpoint")
    def shown_endpoint(self, row: Delivery) -> SafeString:
        address = reverse("admin:webhooks_webhookendpoint_change", args=[row.endpoint_id])
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, str(row.endpoint)[:80])

    @display(description="Event")
    def shown_event(self, row: Delivery) -> SafeString | str:
        shown = ids.show(Event.PREFIX, row.event_id) or ""
        if not row.position:
            return f"{shown} (a test: in no feed)"
        address = reverse("admin:workspaces_event_change", args=[row.event_id])
        return format_html('<a class="lsh-link" href="{}">{}</a>, position {}', address, shown, number(row.position))

    @display(description="Message id")
    def shown_message_id(self, row: Delivery) -> str:
        return message_id(row.event_id, row.part)

    @display(description="Last answer")
    def shown_last(self, row: Any) -> SafeString | str:
        if not row.attempts:
            return "—"
        return two_lines(row.last_code or "No answer", row.last_error or "")

    @display(description="Next attempt")
    def shown_due(self, row: Delivery) -> SafeString | str:
        return planned(row.due_at if row.status == DeliveryStatus.PENDING else None)

    @display(description="Next attempt")
    def shown_next(self, row: Delivery) -> str:
        return absolute(row.due_at) if row.status == DeliveryStatus.PENDING and row.due_at else "—"

    @display(description="Sent by")
    def shown_manual(self, row: Delivery) -> str:
        return "A person, once" if row.is_manual else "The platform, by its schedule"

    @display(description="What is sent")
    def shown_body(self, row: Delivery) -> SafeString | str:
        body = row.body or Event.objects.filter(pk=row.event_id).values_list("body", flat=True).first()
        return json_block(json.loads(body)) if body else "It is gone."


def _took(milliseconds: float) -> str:
    return f"{number(round(milliseconds))} ms" if milliseconds < 1000 else duration(milliseconds / 1000)


def _with_id(rows: QuerySet[Delivery], column: str, prefix: str, text: str | None) -> QuerySet[Delivery]:
    """Rows with this id, written in either way; none for a text that is no id."""
    if not text:
        return rows
    try:
        return rows.filter(**{column: ids.read(prefix, text) or UUID(text)})
    except ValueError:
        return rows.none()
