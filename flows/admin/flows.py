"""Flows: listed, made, edited with their definition checked while one types, published, paused and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList as PlainChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse

from core import ids
from core.admin import may, where_allowed
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.errors import LineshaftError
from flows.admin.definition_text import check_text
from flows.admin.flow_asking import FlowAsking
from flows.admin.flow_facts import FlowColumns
from flows.admin.flow_forms import NewFlowForm
from flows.admin.flow_list import FlowChangeList, LastOutcomeFilter, StateFilter, TriggerFilter, with_standing
from flows.admin.flow_page import Draft, page_context, version_context
from flows.admin.making import make_flow
from flows.definitions.schema import json_schema
from flows.models import Flow, FlowVersion
from flows.services.editing import change_flow, delete_flow, export_flow, pause, publish, resume
from workspaces.models import Workspace

__all__ = ["FlowAdmin"]

RUNNING = frozenset({"run", "dry", "test", "pause", "resume"})
"""Buttons of who may start runs; the others are of who may edit."""
_FITTING = ("run", "dry", "test", "hook", "secrets", "delete")


@admin.register(Flow)
class FlowAdmin(FlowColumns, FlowAsking, ButtonAdmin):
    """Everything is done by the services that the API calls too."""

    list_display = (
        "shown_name", "shown_trigger", "shown_state", "shown_last", "shown_due", "shown_under_way", "shown_issues",
    )  # fmt: skip
    list_filter = ("environment", StateFilter, TriggerFilter, LastOutcomeFilter, "workspace")
    list_per_page = 50
    search_fields = ("name", "description")
    search_help_text = "Name, description, or id (flow_ and 32 hex digits)."
    ordering = ("name",)
    sortable_by = ("shown_name", "shown_due")
    actions = ()
    buttons: Sequence[Button] = (
        Button("run", "Run", "play_arrow", "primary", asks=True),
        Button("dry", "Dry run", "science", asks=True),
        Button("test", "Test a step", "biotech", asks=True),
        Button("publish", "Publish", "publish", "primary", asks=True),
        Button("pause", "Pause", "pause", asks=True),
        Button("resume", "Resume", "play_arrow", asks=True),
        Button("hook", "Hook address", "webhook", asks=True),
        Button("secrets", "Secrets", "key", asks=True),
        Button("delete", "Delete", "delete_forever", "danger", asks=True),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleted by its button, which says what goes along."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        rows: QuerySet[Flow] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        return with_standing(rows) if name == "flows_flow_changelist" else rows.select_related("workspace", "version")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PlainChangeList]:
        return FlowChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Flow], search_term: str
    ) -> tuple[QuerySet[Flow], bool]:
        value = ids.read(Flow.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[Flow], bool] = super().get_search_results(request, queryset, search_term)
        return found

    # --- pages ------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("definition/check/", view(self.check_view), name="flows_flow_check"),
            path("<uuid:object_id>/export/", view(self.export_view), name="flows_flow_export"),
            path("<uuid:object_id>/versions/<int:number>/", view(self.version_view), name="flows_flow_version"),
        ]
        return [*own, *super().get_urls()]

    def check_view(self, request: HttpRequest) -> HttpResponse:
        """What is wrong in the text `definition` that is sent, with lines; to GET, the schema that it is judged by."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return JsonResponse(json_schema())
        _, faults = check_text(request.POST.get("definition", ""))
        return JsonResponse({"faults": [vars(fault) for fault in faults]})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None:
            return self._new(request)
        flow = self.row_or_404(request, object_id)
        may_edit = self.has_change_permission(request, flow)
        if request.method == "POST" and not may_edit:
            raise PermissionDenied
        draft = Draft(flow, request.POST if request.method == "POST" else None)
        if request.method == "POST" and self._save(request, flow, draft):
            then = self.press_address(flow, "publish") if "publish" in request.POST else self.page_address(flow)
            return HttpResponseRedirect(then)
        context = page_context(flow, draft, may_edit=may_edit) | {
            "buttons": self.offered_buttons(request, flow),
            "check_address": reverse("admin:flows_flow_check"),
            "export_address": reverse("admin:flows_flow_export", args=[flow.pk]),
        }
        return page(self, request, "flows/flow.html", str(flow), flow, context)

    def _save(self, request: HttpRequest, flow: Flow, draft: Draft) -> bool:
        """Store what was typed; what the service refuses is told at its line."""
        if not draft.is_whole():
            return False
        try:
            change_flow(flow, by=str(request.user), **draft.changes)
        except LineshaftError as error:
            draft.refuse(error)
            return False
        self.log_change(request, flow, "Changed the draft.")
        messages.success(request, "The draft is saved. It runs once it is published.")
        return True

    def _new(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        everywhere = getattr(request.user, "is_superuser", False)
        rows = Workspace.objects.order_by("name")
        rows = rows if everywhere else rows.filter(pk__in=where_allowed(request, "flows.add_flow"))
        form = NewFlowForm(request.POST or None, workspaces=rows)
        if form.is_valid():
            flow = make_flow(form, by=str(request.user))
            if flow is not None:
                self.log_addition(request, flow, "Made.")
                messages.success(request, "It is a draft now. Bind its connections, then publish it.")
                return HttpResponseRedirect(self.page_address(flow))
        return page(self, request, "flows/new.html", "New flow", None, {"form": form})

    def version_view(self, request: HttpRequest, object_id: UUID, number: int) -> HttpResponse:
        """A version as it was published; by POST the draft becomes what it says."""
        flow = self.row_or_404(request, object_id)
        version = FlowVersion.objects.published().filter(flow=flow, number=number).first()
        if version is None:
            raise Http404
        may_edit = self.has_change_permission(request, flow)
        if request.method == "POST" and not may_edit:
            raise PermissionDenied
        if request.method == "POST":
            self._restore(request, flow, version)
            return HttpResponseRedirect(self.page_address(flow))
        context = version_context(flow, version) | {"may_edit": may_edit, "back": self.page_address(flow)}
        return page(self, request, "flows/version.html", f"Version {number}", flow, context)

    def _restore(self, request: HttpRequest, flow: Flow, version: FlowVersion) -> None:
        try:
            change_flow(flow, by=str(request.user), definition=version.definition, bindings=version.bindings)
        except LineshaftError as error:
            messages.error(request, error.detail)
            return
        self.log_change(request, flow, f"Restored version {version.number} as the draft.")
        messages.success(request, f"The draft is version {version.number} now. It runs once it is published.")

    def export_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The draft as a file, without connections and secrets."""
        flow = self.row_or_404(request, object_id)
        name = f"{ids.show(Flow.PREFIX, flow.pk)}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return JsonResponse(export_flow(flow), json_dumps_params={"indent": 2}, headers=headers)

    # --- buttons ----------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: Flow) -> list[Button]:
        names = {*_FITTING, "resume" if row.is_paused else "pause", "publish"}
        if row.version_id is None:
            names -= {"run", "pause"}
        return [button for button in self.buttons if button.name in names]

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Those that ask for more than yes, or answer more than a line, have pages of their own."""
        own = self.asking_pages() | ({"delete": self._delete} if request.method == "POST" else {})
        if name not in own:
            return super().press_view(request, object_id, name)
        row = self.row_or_404(request, object_id)
        if not self.may_press_one(request, row, name):
            raise PermissionDenied
        try:
            return own[name](request, row)
        except LineshaftError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(self.page_address(row))

    def may_press_one(self, request: HttpRequest, row: Flow, name: str) -> bool:
        """Who runs what is there may stop it, too."""
        if name in RUNNING:
            return may(request, "flows.add_flowrun", row.workspace_id)
        return self.may_press(request, row)

    def ask_publish(self, request: HttpRequest, flow: Flow) -> Question:
        lines = [
            "The draft becomes the version that new runs are made of. Runs under way go on with theirs.",
            "Its trigger begins now: a schedule with its next time, events with those from now on.",
        ]
        return Question("Publish the draft?", lines, "Yes, publish it", variant="primary")

    def press_publish(self, request: HttpRequest, flow: Flow) -> str:
        version = publish(flow, by=str(request.user))
        return f"Version {version.number} is what runs now."

    def ask_pause(self, request: HttpRequest, flow: Flow) -> Question:
        lines = [
            "Its trigger starts no run until you resume it. Runs under way go on.",
            "What comes meanwhile is not made up for: neither events nor times of its schedule.",
        ]
        return Question("Pause this flow?", lines, "Yes, pause it", variant="primary")

    def press_pause(self, request: HttpRequest, flow: Flow) -> str:
        pause(flow, by=str(request.user))
        return "Paused. Its trigger starts nothing until you resume it."

    def ask_resume(self, request: HttpRequest, flow: Flow) -> Question:
        lines = [
            "Its trigger starts runs again, for what comes from now on. What came while it was paused is left out."
        ]
        return Question("Resume this flow?", lines, "Yes, resume it", variant="primary")

    def press_resume(self, request: HttpRequest, flow: Flow) -> str:
        resume(flow, by=str(request.user))
        return "Resumed. What came while it was paused is left out."

    def ask_delete(self, request: HttpRequest, flow: Flow) -> Question:
        lines = [
            "Its versions, runs with all their steps, messages, secrets and its hook address go with it. What its runs"
            " wrote to systems stays, as do the operations.",
            "While runs are under way it cannot be deleted.",
        ]
        return Question(f"Delete “{flow}”?", lines, "Yes, delete it")

    def _delete(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        delete_flow(flow, by=str(request.user))
        self.log_change(request, flow, "Delete.")
        messages.success(request, f"“{flow}” is deleted.")
        return HttpResponseRedirect(reverse("admin:flows_flow_changelist"))
