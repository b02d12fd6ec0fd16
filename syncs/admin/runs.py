"""Runs: the history of what was synced, each with what it did, what went wrong, and what a person may decide."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from connections.models import Connection, UpstreamCall
from connections.screen_texts import entity_title
from core import ids
from core.admin import HistoryAdmin, badge
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import error_cell, moment, plural, two_lines
from integrations.entities import ENTITIES
from syncs.admin.filters import ConnectionFilter, SyncEntityFilter
from syncs.admin.run_facts import run_counters, run_facts, run_row, took_text, trigger_text
from syncs.admin.telling import counts_line
from syncs.choices import ACTIVE, RUN_BADGES, Review, RunStatus
from syncs.models import QuarantinedRecord, Suspect, SyncRun
from syncs.services import cancel_run, review_run

__all__ = ["SyncRunAdmin"]

SAMPLES = 40


@admin.register(SyncRun)
class SyncRunAdmin(HistoryAdmin, ButtonAdmin):
    """The history as it was written."""

    list_display = ("shown_at", "status_badge", "shown_sync", "shown_mode", "took", "counts", "trouble")
    list_display_links = ("shown_at",)
    list_filter = ("status", "mode", SyncEntityFilter, ConnectionFilter, "trigger", "workspace")
    list_select_related = ("sync", "connection")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    sortable_by = ()
    search_fields = ("connection__name",)
    search_help_text = "Name of the connection, or id of a run (run_ and 32 hex digits)."
    actions = ()
    status_badge = badge("status", RUN_BADGES, dict(RunStatus.choices))
    buttons = (
        Button("cancel", "Cancel", "cancel", asks=True),
        Button("release", "Release: they live", "undo", asks=True),
        Button("delete", "Delete them", "delete", "danger", asks=True),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        rows: QuerySet[SyncRun] = super().get_queryset(request)
        return rows.select_related("sync", "connection", "default_mapping", "override_mapping").defer("position")

    def row_name(self, row: SyncRun) -> str:
        return f"{row.get_mode_display()} run of {entity_title(row.sync.entity).lower()}"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncRun], search_term: str
    ) -> tuple[QuerySet[SyncRun], bool]:
        value = ids.read(SyncRun.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[SyncRun], bool] = super().get_search_results(request, queryset, search_term)
        return found

    # --- the page of a run ------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live_view)
        return [path("<uuid:object_id>/live/", view, name="syncs_syncrun_live"), *super().get_urls()]

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
        return page(self, request, "syncs/run.html", self.row_name(run), run, self._context(request, run))

    def live_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The part of the page that changes while the run works; asked for by the page itself."""
        run = self.row_or_404(request, object_id)
        return TemplateResponse(request, "syncs/run_live.html", self._context(request, run))

    def _context(self, request: HttpRequest, run: SyncRun) -> dict[str, Any]:
        quarantined = QuarantinedRecord.objects.filter(sync_id=run.sync_id)
        suspects = Suspect.objects.filter(run=run)
        in_review = run.status == RunStatus.NEEDS_REVIEW
        failed = run.status == RunStatus.FAILED
        return {
            "run": run,
            "row": run_row(run),
            "is_active": run.status in ACTIVE,
            "entity_title": entity_title(run.sync.entity),
            "facts": run_facts(run),
            "counters": run_counters(run),
            "buttons": self.offered_buttons(request, run),
            "next": self.page_address(run),
            "live_address": reverse("admin:syncs_syncrun_live", args=[run.pk]),
            "connection_address": _address(run.connection),
            "sync_address": _address(run.sync),
            "call_count": UpstreamCall.objects.filter(run_id=run.pk).count() if failed else 0,
            "calls_address": reverse("admin:connections_upstreamcall_changelist") + f"?run={run.pk}",
            "quarantined": quarantined.defer("raw")[:20],
            "quarantine_address": reverse("admin:syncs_quarantinedrecord_changelist")
            + f"?connection={run.connection_id}&entity={run.sync.entity}",
            "suspects": list(suspects.order_by("remote_id")[:SAMPLES]) if in_review else [],
            "suspect_count": suspects.count() if in_review else 0,
            "in_review": in_review,
        }

    # --- buttons ----------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: SyncRun) -> list[Button]:
        if row.status == RunStatus.NEEDS_REVIEW:
            names = {"release", "delete"}
        else:
            names = {"cancel"} if row.status in ACTIVE and not row.cancel_requested else set()
        return [button for button in self.buttons if button.name in names]

    def ask_cancel(self, request: HttpRequest, run: SyncRun) -> Question:
        return Question(
            title="Cancel this run?",
            lines=[
                f"It has read {plural(run.read_count, 'object')} so far; what it wrote stays. It stops at once while it "
                "waits, at its next page while it works. The sync's next run starts as planned."
            ],
            yes="Yes, cancel it",
        )

    def press_cancel(self, request: HttpRequest, run: SyncRun) -> str:
        run = cancel_run(run, by=str(request.user))
        if run.status == RunStatus.CANCELLED:
            return f"The run is cancelled after {plural(run.read_count, 'object')} read."
        return f"The run stops at its next page; {plural(run.read_count, 'object')} read so far."

    def ask_release(self, request: HttpRequest, run: SyncRun) -> Question:
        count, samples = _held(run)
        return Question(
            title=f"Keep {_records(run, count)}?",
            lines=[
                f"The system's list did not show {_records(run, count)} of “{run.connection.name}”, out of "
                f"{run.read_count:,} it did show. Released, they stay as they are; the next full run judges them anew.",
                "Choose this when the list was wrong: a lost permission, another filter, an upstream fault.",
            ],
            yes=f"Yes, keep {count:,}",
            samples=samples,
            variant="primary",
        )

    def press_release(self, request: HttpRequest, run: SyncRun) -> str:
        count, _ = _held(run)
        review_run(run, Review.RELEASED, by=str(request.user))
        return f"{_records(run, count)} released: they stay as they are."

    def ask_delete(self, request: HttpRequest, run: SyncRun) -> Question:
        count, samples = _held(run)
        return Question(
            title=f"Delete {_records(run, count)}?",
            lines=[
                f"The system's list did not show {_records(run, count)} of “{run.connection.name}”, out of "
                f"{run.read_count:,} it did show. Deleted, they are marked as gone in the copy and told by events; "
                "nothing is deleted in the system itself.",
                "Records written since are left alone. One that the system shows again comes back by itself.",
            ],
            yes=f"Yes, delete {count:,}",
            samples=samples,
        )

    def press_delete(self, request: HttpRequest, run: SyncRun) -> str:
        before = run.deleted_count
        run = review_run(run, Review.DELETED, by=str(request.user))
        return f"{_records(run, run.deleted_count - before)} marked as deleted in the copy."

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Started", ordering="created_at")
    def shown_at(self, run: SyncRun) -> SafeString | str:
        return moment(run.started_at or run.created_at)

    @display(description="Sync")
    def shown_sync(self, run: SyncRun) -> SafeString:
        name = format_html('<a class="lsh-link" href="{}">{}</a>', _address(run.connection), run.connection.name)
        return two_lines(entity_title(run.sync.entity), name)

    @display(description="Mode")
    def shown_mode(self, run: SyncRun) -> SafeString:
        return two_lines(run.get_mode_display(), trigger_text(run))

    @display(description="Took")
    def took(self, run: SyncRun) -> str:
        return took_text(run)

    @display(description="Counts")
    def counts(self, run: SyncRun) -> str:
        return counts_line(run)

    @display(description="Error")
    def trouble(self, run: SyncRun) -> SafeString | str:
        return error_cell(run.error) if run.error else ""


def _held(run: SyncRun) -> tuple[int, list[str]]:
    rows = Suspect.objects.filter(run=run)
    return rows.count(), list(rows.order_by("remote_id").values_list("remote_id", flat=True)[:SAMPLES])


def _records(run: SyncRun, count: int) -> str:
    """ "1 purchase order", "12 purchase orders"."""
    spec = ENTITIES[run.sync.entity].describes if run.sync.entity in ENTITIES else None
    return plural(count, spec.title.lower(), spec.plural.replace("_", " ")) if spec else plural(count, "record")


def _address(row: Any) -> str:
    name = "connections_connection" if isinstance(row, Connection) else "syncs_sync"
    return reverse(f"admin:{name}_change", args=[row.pk])
