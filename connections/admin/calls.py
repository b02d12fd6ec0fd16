"""Calls to systems as they were made: what was asked, what came back."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from connections.models import UpstreamCall
from core import ids
from core.admin import HistoryAdmin, TenantAdmin, badge
from core.admin_texts import absolute, duration, json_block, moment, number, two_lines

__all__ = ["UpstreamCallAdmin"]

_COLOURS = {"No answer": "danger", "2xx": "success", "3xx": "info", "4xx": "warning", "5xx": "danger", "Other": ""}


class _OwnerFilter(SimpleListFilter):
    """One run or operation, by its id; pages of these lead here, so there is nothing to choose from."""

    prefix = ""
    column = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name or "")
        return [(chosen, "this one")] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[UpstreamCall]) -> QuerySet[UpstreamCall]:
        if not self.value():
            return queryset
        value = _uuid(self.prefix, str(self.value()))
        return queryset.filter(**{self.column: value}) if value else queryset.none()


class RunFilter(_OwnerFilter):
    """`?run=<uuid or run_...>`."""

    title, parameter_name, prefix, column = "run", "run", "run", "run_id"


class OperationFilter(_OwnerFilter):
    """`?operation=<uuid or op_...>`."""

    title, parameter_name, prefix, column = "operation", "operation", "op", "operation_id"


class KindFilter(SimpleListFilter):
    """What the call was made for."""

    title, parameter_name = "made for", "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("run", "A sync run"), ("operation", "An operation"), ("passthrough", "A raw call")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UpstreamCall]) -> QuerySet[UpstreamCall]:
        if self.value() == "passthrough":
            return queryset.filter(run_id=None, operation_id=None)
        columns = {"run": "run_id", "operation": "operation_id"}
        column = columns.get(str(self.value()))
        return queryset.filter(**{f"{column}__isnull": False}) if column else queryset


class OutcomeFilter(SimpleListFilter):
    """How it was answered."""

    title, parameter_name = "answer", "answer"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("none", "No answer"), *((str(hundred), f"{hundred}xx") for hundred in (2, 3, 4, 5))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UpstreamCall]) -> QuerySet[UpstreamCall]:
        if self.value() == "none":
            return queryset.filter(status=None)
        if self.value() in ("2", "3", "4", "5"):
            first = int(str(self.value())) * 100
            return queryset.filter(status__gte=first, status__lt=first + 100)
        return queryset


def _answer_of(call: UpstreamCall) -> str:
    if call.status is None:
        return "No answer"
    label = f"{call.status // 100}xx"
    return label if label in _COLOURS else "Other"


@admin.register(UpstreamCall)
class UpstreamCallAdmin(HistoryAdmin, TenantAdmin):
    """The log. It is written by the platform and forgotten after some days."""

    list_display = ("shown_at", "answer_badge", "shown_call", "shown_connection", "shown_owner", "took")
    list_display_links = ("shown_at",)
    list_filter = (KindFilter, OutcomeFilter, RunFilter, OperationFilter, "workspace")
    list_select_related = ("connection",)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("connection__name",)
    search_help_text = "Name of the connection, or id of a run or operation (run_ or op_ and 32 hex digits)."
    actions = ()
    fields = (
        "shown_call_whole", "shown_status", "shown_connection", "shown_owner", "shown_started", "took", "shown_sizes",
        "shown_request", "shown_response",
    )  # fmt: skip
    readonly_fields = fields
    answer_badge = badge(_answer_of, _COLOURS, dict(zip(_COLOURS, _COLOURS, strict=True)), description="Answer")

    def get_queryset(self, request: HttpRequest) -> QuerySet[UpstreamCall]:
        rows: QuerySet[UpstreamCall] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        rows = rows.select_related("connection")
        return rows.defer("request_body", "response_body") if name == "connections_upstreamcall_changelist" else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UpstreamCall], search_term: str
    ) -> tuple[QuerySet[UpstreamCall], bool]:
        for prefix, column in (("run", "run_id"), ("op", "operation_id")):
            value = ids.read(prefix, search_term.strip())
            if value is not None:
                return queryset.filter(**{column: value}), False
        found: tuple[QuerySet[UpstreamCall], bool] = super().get_search_results(request, queryset, search_term)
        return found

    @display(description="Started")
    def shown_at(self, call: UpstreamCall) -> SafeString | str:
        return moment(call.started_at)

    @display(description="Started")
    def shown_started(self, call: UpstreamCall) -> str:
        return absolute(call.started_at)

    @display(description="Call")
    def shown_call(self, call: UpstreamCall) -> SafeString:
        return two_lines(call.method, call.url[:160])

    @display(description="Call")
    def shown_call_whole(self, call: UpstreamCall) -> str:
        return f"{call.method} {call.url}"

    @display(description="Answer")
    def shown_status(self, call: UpstreamCall) -> str:
        return f"Status {call.status}" if call.status is not None else f"None ({call.error_code})"

    @display(description="Connection")
    def shown_connection(self, call: UpstreamCall) -> SafeString:
        address = reverse("admin:connections_connection_change", args=[call.connection_id])
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, call.connection.name)

    @display(description="Made for")
    def shown_owner(self, call: UpstreamCall) -> SafeString:
        which = f"call {number(call.position)}"
        if call.run_id:
            return two_lines(f"Sync run, {which}", ids.show("run", call.run_id))
        if call.operation_id:
            return two_lines(f"Operation, {which}", ids.show("op", call.operation_id))
        return two_lines("A raw call", call.triggered_by)

    @display(description="Took")
    def took(self, call: UpstreamCall) -> str:
        return f"{number(round(call.elapsed_ms))} ms" if call.elapsed_ms < 1000 else duration(call.elapsed_ms / 1000)

    @display(description="Bytes")
    def shown_sizes(self, call: UpstreamCall) -> str:
        return f"{number(call.request_bytes)} sent, {number(call.response_bytes)} received"

    @display(description="What was sent")
    def shown_request(self, call: UpstreamCall) -> SafeString | str:
        return _block(call.request_body)

    @display(description="What was answered")
    def shown_response(self, call: UpstreamCall) -> SafeString | str:
        return _block(call.response_body)


def _block(text: str) -> SafeString | str:
    """JSON indented, everything else as it is."""
    if not text:
        return "nothing"
    try:
        return json_block(json.loads(text))
    except (ValueError, RecursionError):
        return format_html('<pre class="lsh-json">{}</pre>', text)


def _uuid(prefix: str, text: str) -> UUID | None:
    try:
        return ids.read(prefix, text) or UUID(text)
    except ValueError:
        return None
