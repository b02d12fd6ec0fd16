"""Runs of flows: the history, each with a timeline that moves while it works, and what a person may do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core import ids
from core.admin import HistoryAdmin, may
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import error_cell, moment, pretty, two_lines
from core.errors import LineshaftError
from flows.admin.flow_facts import label
from flows.admin.resolving import ResolveForm, step_to_resolve
from flows.admin.run_facts import run_facts, standing, took_text, trigger_text, version_text
from flows.admin.run_filters import DryFilter, FlowFilter, UnendedFilter
from flows.admin.timeline import detail_of, items_of, timeline
from flows.choices import RUN_BADGES, UNENDED, FlowRunStatus, WaitsFor
from flows.models import FlowRun, StepRun
from flows.services.controlling import cancel_run, rerun, resolve_step, retry_run

__all__ = ["FlowRunAdmin"]


@admin.register(FlowRun)
class FlowRunAdmin(HistoryAdmin, ButtonAdmin):
    """The history as it was written."""

    list_display = ("shown_at", "shown_status", "shown_flow", "shown_trigger", "took", "shown_step", "trouble")
    list_display_links = ("shown_at",)
    list_filter = (
        "status", UnendedFilter, FlowFilter, "trigger", DryFilter, "waits_for", "environment", "workspace",
    )  # fmt: skip
    date_hierarchy = "created_at"
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("flow__name",)
    search_help_text = "Name of the flow, or id of a run (frun_ and 32 hex digits)."
    actions = ()
    buttons = (
        Button("resolve", "Say what became of it", "rule", "primary", asks=True),
        Button("cancel", "Cancel", "cancel", asks=True),
        Button("retry", "Retry from failed step", "refresh", "primary", asks=True),
        Button("again", "Run again on latest", "replay", asks=True),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowRun]:
        rows: QuerySet[FlowRun] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        rows = rows.select_related("flow", "version")
        if name == "flows_flowrun_changelist":
            rows = rows.defer("input", "flow__draft", "flow__bindings", "version__definition", "version__bindings")
        return rows

    def row_name(self, row: FlowRun) -> str:
        return f"{'Dry run' if row.is_dry else 'Run'} of {row.flow.name}"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FlowRun], search_term: str
    ) -> tuple[QuerySet[FlowRun], bool]:
        value = ids.read(FlowRun.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[FlowRun], bool] = super().get_search_results(request, queryset, search_term)
        return found

    # --- the page of a run ------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        views = {"live": self.live_view, "step": self.step_view, "items": self.items_view}
        own = [
            path(f"<uuid:object_id>/{name}/", self.admin_site.admin_view(view), name=f"flows_flowrun_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None or request.method == "POST":
            raise PermissionDenied
        run = self.row_or_404(request, object_id)
        context = {**self._context(request, run), "input": pretty(run.input)}
        return page(self, request, "flows/run.html", self.row_name(run), run, context)

    def live_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The part of the page that changes while the run works; asked for by the page itself."""
        run = self.row_or_404(request, object_id)
        return TemplateResponse(request, "flows/run_live.html", self._context(request, run))

    def step_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """What went into a step and came out, `?path=`: a part of the run's page, or a page of its own."""
        run, step = self._step(request, object_id)
        if step is None:
            return HttpResponseRedirect(self.page_address(run))
        context = {**detail_of(run, step), "back": self.page_address(run)}
        if may(request, "flows.add_flowrun", run.workspace_id) and step.kind != "item":
            context["test_address"] = _press_address(run, "test", step=step.name, path=step.path)
        if request.headers.get("HX-Request"):
            return TemplateResponse(request, "flows/step_detail.html", context)
        return page(self, request, "flows/step.html", step.path, run, context)

    def items_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The items of a for-each, `?path=`, `&status=`, `&page=`."""
        run, step = self._step(request, object_id)
        if step is None:
            return HttpResponseRedirect(self.page_address(run))
        context = {**items_of(run, step, request.GET), "back": self.page_address(run)}
        return page(self, request, "flows/items.html", f"Items of {step.path}", run, context)

    def _step(self, request: HttpRequest, object_id: UUID) -> tuple[FlowRun, StepRun | None]:
        """Errors: Http404 for a path that the run does not have."""
        run, wanted = self.row_or_404(request, object_id), request.GET.get("path", "")
        if not wanted:
            return run, None
        step = StepRun.objects.filter(run=run, path=wanted).first() if "\x00" not in wanted else None
        if step is None:
            raise Http404
        return run, step

    def _context(self, request: HttpRequest, run: FlowRun) -> dict[str, Any]:
        waiting = step_to_resolve(run) if run.waits_for == WaitsFor.PERSON and run.status in UNENDED else None
        return {
            "run": run,
            "status": FlowRunStatus(run.status).label,
            "colour": RUN_BADGES[FlowRunStatus(run.status)],
            "is_active": run.status in UNENDED,
            "standing": standing(run),
            "needs_person": waiting is not None,
            "facts": run_facts(run),
            "timeline": timeline(run),
            "buttons": self.offered_buttons(request, run),
            "next": self.page_address(run),
            "live_address": reverse("admin:flows_flowrun_live", args=[run.pk]),
            "dry_address": _press_address(run, "dry") if may(request, "flows.add_flowrun", run.workspace_id) else "",
            "flow_address": reverse("admin:flows_flow_change", args=[run.flow_id]),
            "rerun_of": reverse("admin:flows_flowrun_change", args=[run.rerun_of_id]) if run.rerun_of_id else "",
            "calls_address": reverse("admin:connections_upstreamcall_changelist") + f"?run={run.pk}",
        }

    # --- buttons ----------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: FlowRun) -> list[Button]:
        names: set[str] = set()
        if row.status in UNENDED:
            names = {"resolve"} if row.waits_for == WaitsFor.PERSON else set()
            names |= set() if row.cancel_requested else {"cancel"}
        else:
            names = {"retry", "again"} if row.status == FlowRunStatus.FAILED else {"again"}
        return [button for button in self.buttons if button.name in names]

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Those that ask for more than yes, or lead to another run."""
        own = {"resolve": self._resolve} | ({"again": self._again} if request.method == "POST" else {})
        if name not in own:
            return super().press_view(request, object_id, name)
        row = self.row_or_404(request, object_id)
        if not self.may_press(request, row):
            raise PermissionDenied
        try:
            return own[name](request, row)
        except LineshaftError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(self.page_address(row))

    def ask_cancel(self, request: HttpRequest, run: FlowRun) -> Question:
        lines = [
            "It stops before its next step. What its steps did so far stays, and a write under way is not called back."
        ]
        return Question("Cancel this run?", lines, "Yes, cancel it")

    def press_cancel(self, request: HttpRequest, run: FlowRun) -> str:
        ended = cancel_run(run, by=str(request.user)).status == FlowRunStatus.CANCELLED
        return "The run is cancelled." if ended else "It stops before its next step."

    def ask_retry(self, request: HttpRequest, run: FlowRun) -> Question:
        lines = [
            f"The run goes on at {run.current_step or 'the step that failed'}, with the version it began with"
            f" ({version_text(run)}). Steps that succeeded are not done again, and of a for-each only the failed items."
        ]
        return Question("Retry from the failed step?", lines, "Yes, retry", variant="primary")

    def press_retry(self, request: HttpRequest, run: FlowRun) -> str:
        retry_run(run, by=str(request.user))
        return "It goes on within a second or two."

    def ask_again(self, request: HttpRequest, run: FlowRun) -> Question:
        lines = [
            "A new run of the version that is published now begins with the same input, from its first step.",
            "It is a dry run too: nothing is written."
            if run.is_dry
            else "What this run wrote already is written again, unless the flow itself prevents it.",
        ]
        return Question("Run it again on the latest version?", lines, "Yes, run it again", variant="primary")

    def _again(self, request: HttpRequest, run: FlowRun) -> HttpResponse:
        started = rerun(run, by=str(request.user))
        self.log_change(request, run, "Run again on latest.")
        messages.success(request, "This is the new run.")
        return HttpResponseRedirect(self.page_address(started.run))

    def _resolve(self, request: HttpRequest, run: FlowRun) -> HttpResponse:
        step = step_to_resolve(run)
        form = ResolveForm(request.POST or None)
        if step is None or not form.is_valid():
            context = {
                "form": form,
                "step": step,
                "back": self.page_address(run),
                **(detail_of(run, step) if step else {}),
            }
            return page(self, request, "flows/resolve.html", "What became of it?", run, context)
        resolve_step(step, by=str(request.user), **form.resolution)
        self.log_change(request, run, f"Resolved {step.path}.")
        messages.success(request, "The run goes on from what you said.")
        return HttpResponseRedirect(self.page_address(run))

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Started", ordering="id")
    def shown_at(self, run: FlowRun) -> SafeString | str:
        return moment(run.started_at or run.created_at)

    @display(description="Status")
    def shown_status(self, run: FlowRun) -> SafeString:
        found = FlowRunStatus(run.status)
        dry = label("Dry run", "secondary") if run.is_dry else ""
        return format_html("{} {}", label(str(found.label), RUN_BADGES[found]), dry)

    @display(description="Flow")
    def shown_flow(self, run: FlowRun) -> SafeString:
        address = reverse("admin:flows_flow_change", args=[run.flow_id])
        return two_lines(format_html('<a class="lsh-link" href="{}">{}</a>', address, run.flow.name), version_text(run))

    @display(description="Trigger")
    def shown_trigger(self, run: FlowRun) -> str:
        return trigger_text(run)

    @display(description="Took")
    def took(self, run: FlowRun) -> str:
        return took_text(run)

    @display(description="Step")
    def shown_step(self, run: FlowRun) -> SafeString | str:
        if run.status == FlowRunStatus.SUCCEEDED or not run.current_step:
            return ""
        waits = f"waits for {run.get_waits_for_display().lower()}" if run.status == FlowRunStatus.WAITING else ""
        return two_lines(run.current_step, waits)

    @display(description="Error")
    def trouble(self, run: FlowRun) -> SafeString | str:
        return error_cell(run.error) if run.error else ""


def _press_address(run: FlowRun, name: str, **query: str) -> str:
    """A button of the run's flow, filled in from the run."""
    return f"{reverse('admin:flows_flow_press', args=[run.flow_id, name])}?{urlencode({'run': run.pk, **query})}"
