"""Operations: the history of what was written to systems, each as a story, with what a person may decide."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList as PlainChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.views import ChangeList

from core.admin import HistoryAdmin, badge
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import error_cell, moment, two_lines
from core.errors import ValidationFailedError
from syncs.admin.filters import ConnectionFilter, EntityFilter
from syncs.admin.operation_facts import (
    HEAVY,
    ORIGINS,
    operation_facts,
    operation_row,
    outcome_text,
    title_of,
    took_text,
)
from syncs.admin.operation_filters import BatchFilter, DecisionFilter, OperationSystemFilter, RecordFilter, sought
from syncs.admin.operation_standing import earlier_ones, standing
from syncs.admin.operation_story import candidate_rows, copied_of, links_of, missed_rows, story_of
from syncs.choices import OPERATION_BADGES, UNFINISHED, OperationKind, OperationStatus
from syncs.models import Operation, Record
from syncs.services.settling import REVIEWABLE, look_again, resolve_operation, retry_operation

__all__ = ["OperationAdmin"]

MAX_REMOTE_ID = 512


class OperationChangeList(ChangeList):
    """Each row of a page carries `copied`, whether its record is there, and `behind`, the one it waits for."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # Django's own attribute
        self.result_list = rows
        copied = set(Record.objects.filter(pk__in=[row.record_id for row in rows]).values_list("pk", flat=True))
        behind = earlier_ones(rows)
        for row in rows:
            row.copied, row.behind = row.record_id in copied, behind.get(row.pk)


@admin.register(Operation)
class OperationAdmin(HistoryAdmin, ButtonAdmin):
    """The history as it was written."""

    list_display = ("shown_at", "status_badge", "shown_what", "shown_connection", "shown_who", "took", "outcome")
    list_display_links = ("shown_at",)
    list_filter = (
        DecisionFilter, "status", "kind", EntityFilter, ConnectionFilter, OperationSystemFilter, RecordFilter,
        BatchFilter, "workspace",
    )  # fmt: skip
    list_select_related = ("connection",)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    sortable_by = ()
    search_fields = ("remote_id",)
    search_help_text = "Id of an operation (op_...) or record, remote id or idempotency key, each exactly."
    actions = ()
    status_badge = badge("status", OPERATION_BADGES, dict(OperationStatus.choices))
    buttons = (
        Button("retry", "Retry", "refresh", "primary", asks=True),
        Button("look", "Look again", "search", asks=True),
        Button("done", "It was done", "check", asks=True),
        Button("not_done", "It was not done", "close", "danger", asks=True),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        rows: QuerySet[Operation] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        rows = rows.select_related("connection")
        return rows.defer(*HEAVY) if name == "syncs_operation_changelist" else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PlainChangeList]:
        return OperationChangeList

    def row_name(self, row: Operation) -> str:
        return title_of(row)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Operation], search_term: str
    ) -> tuple[QuerySet[Operation], bool]:
        text = search_term.strip()
        return (queryset.filter(sought(text)) if text else queryset), False

    # --- the page of an operation -----------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live_view)
        return [path("<uuid:object_id>/live/", view, name="syncs_operation_live"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None or request.method == "POST":
            raise PermissionDenied
        operation = self.row_or_404(request, object_id)
        context = {**self._context(request, operation), **story_of(operation)}
        return page(self, request, "syncs/operation.html", self.row_name(operation), operation, context)

    def live_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The part of the page that changes while it is worked on; with the story where the page has an older one."""
        operation = self.row_or_404(request, object_id)
        context = self._context(request, operation)
        if request.GET.get("story") != context["story"]:
            context |= {**story_of(operation), "swaps_story": True}
        return TemplateResponse(request, "syncs/operation_live.html", context)

    def _context(self, request: HttpRequest, operation: Operation) -> dict[str, Any]:
        behind = earlier_ones([operation]).get(operation.pk)
        copied = copied_of(operation)
        place = f"{operation.status}-{operation.stage}-{operation.call_no}-{len(operation.calls)}"
        live_address = reverse("admin:syncs_operation_live", args=[operation.pk])
        return {
            "operation": operation,
            "row": operation_row(operation, behind),
            "is_active": operation.status in UNFINISHED,
            "standing": standing(operation, behind),
            "behind_address": reverse("admin:syncs_operation_change", args=[behind]) if behind else "",
            "candidates": candidate_rows(operation, copied, self.press_address(operation, "done")),
            "has_names": any(candidate.get("name") for candidate in operation.candidates),
            "may_decide": self.may_press(request, operation),
            "missed": missed_rows(operation),
            "facts": operation_facts(operation),
            "buttons": self.offered_buttons(request, operation),
            "next": self.page_address(operation),
            "story": place,
            "live_address": f"{live_address}?{urlencode({'story': place})}",
            "connection_address": _connection_address(operation),
            "links": links_of(operation, copied),
        }

    # --- buttons ----------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: Operation) -> list[Button]:
        names: set[str] = set()
        if row.status == OperationStatus.FAILED:
            names = {"retry"}
        elif row.status in REVIEWABLE:
            names = {"look", "done", "not_done"}
        elif row.status == OperationStatus.AWAITING_SOURCE:
            names = {"look"}
        return [button for button in self.buttons if button.name in names]

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """The question "It was done" takes the object's id, and comes back with it when that was refused."""
        response = super().press_view(request, object_id, name)
        if name != "done":
            return response
        row = self.row_or_404(request, object_id)
        asks_id = row.kind == OperationKind.CREATE
        if isinstance(response, TemplateResponse):
            response.template_name = "syncs/operation_done.html"
            given = request.GET.get("remote_id", row.remote_id)
            response.context_data = {**(response.context_data or {}), "asks_id": asks_id, "remote_id": given}
        elif asks_id and row.status in REVIEWABLE:
            again = urlencode({"remote_id": request.POST.get("remote_id", "").strip()})
            return HttpResponseRedirect(f"{self.press_address(row, name)}?{again}")
        return response

    def ask_retry(self, request: HttpRequest, operation: Operation) -> Question:
        if operation.kind == OperationKind.CREATE and operation.call_no:
            lines = ["The object was made already; the requests that are left are sent."]
        else:
            again = "The object is read again, the" if operation.kind != OperationKind.CREATE else "The"
            lines = [
                f"{again} wish is judged by what is so now, and the requests are worked out anew. "
                "Its idempotency key stays its own."
            ]
            if operation.attempts:
                lines.append(
                    "By its answer, or by what a person said, the failed request changed nothing in the system."
                )
        return Question(
            title=f"Try again: {self.row_name(operation)}?", lines=lines, yes="Yes, retry", variant="primary"
        )

    def press_retry(self, request: HttpRequest, operation: Operation) -> str:
        retry_operation(operation, by=str(request.user))
        return "It is queued again and starts within a second or two."

    def ask_look(self, request: HttpRequest, operation: Operation) -> Question:
        return Question(
            title="Look in the system now?",
            lines=[
                "Lineshaft only reads: it asks the system for traces of this operation. Where it is then sure that nothing "
                "was done, and the time to send has not run out, it sends the same request again."
            ],
            yes="Yes, look again",
            variant="primary",
        )

    def press_look(self, request: HttpRequest, operation: Operation) -> str:
        look_again(operation)
        return "It is looked up within a second or two."

    def ask_done(self, request: HttpRequest, operation: Operation) -> Question:
        where, what = (
            f"“{operation.connection.name}”",
            "It then counts as succeeded, and whoever asked for it is told so.",
        )
        if operation.kind == OperationKind.CREATE:
            line = (
                f"Say which object of {where} it made. It is read now and becomes the record of this operation. {what}"
            )
        else:
            line = f"The object {operation.remote_id} is read from {where} now, and what it says goes into the copy. {what}"
        if operation.kind == OperationKind.DELETE:
            line += " If it is gone there, its record is marked as deleted."
        return Question(title="Was it done?", lines=[line], yes="Yes, it was done", variant="primary")

    def press_done(self, request: HttpRequest, operation: Operation) -> str:
        remote_id = ""
        if operation.kind == OperationKind.CREATE:
            remote_id = request.POST.get("remote_id", "").strip()
            if "\x00" in remote_id or len(remote_id) > MAX_REMOTE_ID:
                raise ValidationFailedError("This is no id of the system.")
        resolve_operation(operation, done=True, remote_id=remote_id, by=str(request.user))
        return f"It counts as done now; its object is {operation.remote_id}."

    def ask_not_done(self, request: HttpRequest, operation: Operation) -> Question:
        return Question(
            title="Was it really not done?",
            lines=[
                f"Look in “{operation.connection.name}” first. The operation then counts as failed, whoever asked for it is "
                "told so, and it may be tried again: if the system did it after all, a retry would do it twice.",
            ],
            yes="Yes, it was not done",
        )

    def press_not_done(self, request: HttpRequest, operation: Operation) -> str:
        resolve_operation(operation, done=False, by=str(request.user))
        return "It counts as failed now; nothing was done. Retry sends it again."

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Created", ordering="created_at")
    def shown_at(self, operation: Operation) -> SafeString | str:
        return moment(operation.created_at)

    @display(description="Operation")
    def shown_what(self, operation: Any) -> SafeString:
        """With the record's page where there is one."""
        remote_id = operation.remote_id[:80]
        if operation.copied:
            address = reverse("admin:syncs_record_change", args=[operation.record_id])
            remote_id = format_html('<a class="lsh-link" href="{}">{}</a>', address, remote_id or "record")
        return two_lines(title_of(operation), remote_id or "no object yet")

    @display(description="Connection")
    def shown_connection(self, operation: Operation) -> SafeString:
        address = _connection_address(operation)
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, operation.connection.name)

    @display(description="Asked for by")
    def shown_who(self, operation: Operation) -> SafeString:
        return two_lines(operation.requested_by or "—", ORIGINS.get(operation.origin, operation.origin))

    @display(description="Took")
    def took(self, operation: Operation) -> str:
        return took_text(operation)

    @display(description="Outcome")
    def outcome(self, operation: Any) -> SafeString | str:
        if operation.status == OperationStatus.FAILED and operation.error:
            return error_cell(operation.error)
        return outcome_text(operation, operation.behind)


def _connection_address(operation: Operation) -> str:
    return reverse("admin:connections_connection_change", args=[operation.connection_id])
