"""What needs somebody's attention, open ones first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin import HistoryAdmin, badge
from core.admin_buttons import Button, ButtonAdmin
from core.admin_texts import moment, two_lines
from syncs.models import Issue
from syncs.services.issues import acknowledge, issue_link

_COLOURS = {"open": "danger", "acknowledged": "warning", "resolved": "success"}


def state_of(issue: Issue) -> str:
    """open, acknowledged (still open, somebody knows) or resolved."""
    if issue.resolved_at is not None:
        return "resolved"
    return "open" if issue.acknowledged_at is None else "acknowledged"


class IssueStateFilter(SimpleListFilter):
    """Open ones unless somebody asks for more."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("resolved", "Resolved"), ("all", "All")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *rest = super().choices(changelist)
        yield {**first, "display": "Open"}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() != "resolved")


@admin.register(Issue)
class IssueAdmin(HistoryAdmin, ButtonAdmin):
    """Written by rules. A person can only say that they know of one."""

    list_display = ("state_badge", "shown_title", "who_must_act", "connection_name", "opened")
    list_display_links = ("shown_title",)
    list_filter = (IssueStateFilter, "kind", "environment", "workspace")
    list_select_related = ("connection",)
    search_fields = ("title",)
    sortable_by = ()
    ordering = ("-id",)
    fields = (
        "state_badge", "title", "kind", "detail", "action", "who_must_act", "connection_name", "environment", "subject",
        "opened", "resolved", "acknowledged", "shown_link",
    )  # fmt: skip
    readonly_fields = fields
    state_badge = badge(state_of, _COLOURS, description="State")
    buttons: Sequence[Button] = (Button("acknowledge", "Acknowledge", "done", "primary"),)
    change_form_outer_before_template = "core/buttons.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Issue]:
        rows: QuerySet[Issue] = super().get_queryset(request)
        return rows.select_related("connection")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def fitting_buttons(self, request: HttpRequest, row: Issue) -> Sequence[Button]:
        return self.buttons if state_of(row) == "open" else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        row = self.row_or_404(request, object_id)
        extra = {"buttons": self.offered_buttons(request, row), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra)

    def press_acknowledge(self, request: HttpRequest, issue: Issue) -> str:
        acknowledge(issue, by=str(request.user))
        return "No more mail about this issue. It stays open until it is over."

    @display(description="Issue")
    def shown_title(self, issue: Issue) -> SafeString:
        return two_lines(issue.title, issue.action)

    @display(description="Connection")
    def connection_name(self, issue: Issue) -> str:
        return issue.connection.name if issue.connection is not None else "—"

    @display(description="Opened")
    def opened(self, issue: Issue) -> SafeString | str:
        return moment(issue.opened_at)

    @display(description="Resolved")
    def resolved(self, issue: Issue) -> SafeString | str:
        return moment(issue.resolved_at)

    @display(description="Acknowledged")
    def acknowledged(self, issue: Issue) -> str:
        return issue.acknowledged_by or "—"

    @display(description="Where to mend it")
    def shown_link(self, issue: Issue) -> SafeString:
        return format_html('<a class="lsh-link" href="{}">Open the page</a>', issue_link(issue))
