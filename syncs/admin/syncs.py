"""Syncs: which entity is kept how fresh, when it ran last and runs next, and buttons to run, pause and resume it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.views import ChangeList

from connections.choices import MAY_SYNC
from connections.screen_texts import entity_title
from core.admin import badge
from core.admin_buttons import Button, ButtonAdmin, NamedRow
from core.admin_texts import error_cell, moment, planned, plural, two_lines
from core.errors import LineshaftError
from syncs.admin.filters import ConnectionFilter, EntityFilter, StateFilter
from syncs.admin.run_facts import run_rows
from syncs.admin.states import entity_row, statuses_by_sync, with_statuses
from syncs.admin.telling import request_runs
from syncs.choices import STATE_BADGES, Mode, SyncState
from syncs.models import Sync
from syncs.services import pause_sync, resume_sync, update_sync

OFF = "off"
CHANGEABLE = ("enabled", "interval_seconds", "full_interval_seconds", "history_days")


class SyncForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """Valid means stored, as in the form of a connection."""

    class Meta:
        model = Sync
        fields = CHANGEABLE

    def _post_clean(self) -> None:
        if self.errors:
            return
        try:
            self.instance = update_sync(self.instance, **{name: self.cleaned_data[name] for name in self.changed_data})
        except LineshaftError as error:
            for fault in error.errors:
                self.add_error(fault.pointer.strip("/"), fault.detail)
            if not error.errors:
                self.add_error(None, error.detail)


@admin.register(Sync)
class SyncAdmin(ButtonAdmin):
    """One row an entity of a connection. The tick makes them."""

    form = SyncForm
    list_display = (
        "shown_sync", "state_badge", "last_success", "next_run", "freshness", "trouble",
        "row_buttons",
    )  # fmt: skip
    list_display_links = ("shown_sync",)
    list_filter = (StateFilter, EntityFilter, ConnectionFilter, "connection__environment", "workspace")
    list_select_related = ("connection",)
    list_per_page = 50
    ordering = ("connection__name", "entity")
    sortable_by = ()
    search_fields = ("connection__name", "connection__customer_reference")
    search_help_text = "Name or customer reference of the connection."
    fieldsets = (("Schedule", {"fields": CHANGEABLE}),)
    change_form_outer_before_template = "syncs/sync_panel.html"
    change_form_outer_after_template = "syncs/recent_runs.html"
    actions = ("sync_selected", "full_sync_selected", "pause_selected", "resume_selected")
    state_badge = badge(
        lambda row: row.status_now.status if row.status_now else OFF,
        {**STATE_BADGES, OFF: ""},
        {**dict(SyncState.choices), OFF: "Not shared"},
        description="State",
    )
    buttons = (
        Button("sync", "Sync now", "sync", "primary"),
        Button("full_sync", "Full sync", "sync_lock"),
        Button("pause", "Pause", "pause"),
        Button("resume", "Resume", "play_arrow"),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return with_statuses(statuses_by_sync)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = {"show_save_and_continue": False, "show_save_and_add_another": False, **(extra_context or {})}
        sync = self.get_object(request, object_id) if object_id else None
        if sync is not None:
            extra |= self._panel(request, sync)
        return super().changeform_view(request, object_id, form_url, extra)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Sync:
        stored: Sync = form.instance
        return stored

    def save_model(self, request: HttpRequest, obj: Sync, form: Any, change: bool) -> None:
        """Stored by the form's service already."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing related to save."""

    def response_post_save_change(self, request: HttpRequest, obj: Sync) -> HttpResponse:
        return HttpResponseRedirect(self.page_address(obj))

    def _panel(self, request: HttpRequest, sync: Sync) -> dict[str, Any]:
        status = statuses_by_sync([sync]).get(sync.pk)
        return {
            "sync": sync,
            "original": NamedRow(sync, self.row_name(sync)),
            "row": entity_row(status) if status else None,
            "title_of_entity": entity_title(sync.entity),
            "connection_address": _connection_address(sync),
            "buttons": self.offered_buttons(request, sync),
            "recent_runs": run_rows(sync.runs.select_related("sync", "connection").order_by("-created_at")[:10]),
            "runs_address": reverse("admin:syncs_syncrun_changelist")
            + f"?connection={sync.connection_id}&entity={sync.entity}",
            "records_address": reverse("admin:syncs_record_changelist")
            + f"?connection={sync.connection_id}&entity={sync.entity}",
        }

    # --- buttons ----------------------------------------------------------------------------------------------------

    def row_name(self, row: Sync) -> str:
        return f"{entity_title(row.entity)} of {row.connection.name}"

    def fitting_buttons(self, request: HttpRequest, row: Sync) -> Sequence[Button]:
        """Runs cannot begin while something is paused or waits for a person."""
        held = row.connection
        runs = (
            row.enabled and held.shares(row.entity) and not row.paused and not held.paused and held.health in MAY_SYNC
        )
        hidden = {"pause" if row.paused else "resume"} | (set() if runs else {"sync", "full_sync"})
        return [button for button in self.buttons if button.name not in hidden]

    def press_sync(self, request: HttpRequest, sync: Sync) -> str:
        return self._run(request, [sync], Mode.INCREMENTAL)

    def press_full_sync(self, request: HttpRequest, sync: Sync) -> str:
        return self._run(request, [sync], Mode.FULL)

    def press_pause(self, request: HttpRequest, sync: Sync) -> str:
        pause_sync(sync)
        return f"{entity_title(sync.entity)} of “{sync.connection.name}” is paused; a run under way stops at its next page."

    def press_resume(self, request: HttpRequest, sync: Sync) -> str:
        resume_sync(sync)
        return f"{entity_title(sync.entity)} of “{sync.connection.name}” goes on."

    def _run(self, request: HttpRequest, syncs: Sequence[Sync], mode: Mode) -> str:
        told, refused = request_runs(syncs, mode, by=str(request.user))
        for reason in refused:
            messages.error(request, reason)
        return told

    # --- actions on selected rows -----------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        return {name: found for name, found in actions.items() if name != "delete_selected"}

    @action(description="Sync now", permissions=["change"])
    def sync_selected(self, request: HttpRequest, queryset: QuerySet[Sync]) -> None:
        self._tell(request, self._run(request, self._mine(request, queryset), Mode.INCREMENTAL))

    @action(description="Full sync", permissions=["change"])
    def full_sync_selected(self, request: HttpRequest, queryset: QuerySet[Sync]) -> None:
        self._tell(request, self._run(request, self._mine(request, queryset), Mode.FULL))

    @action(description="Pause", permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Sync]) -> None:
        mine = self._mine(request, queryset)
        for sync in mine:
            pause_sync(sync)
        self._tell(request, f"{plural(len(mine), 'sync', 'syncs')} paused." if mine else "")

    @action(description="Resume", permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Sync]) -> None:
        mine = self._mine(request, queryset)
        for sync in mine:
            resume_sync(sync)
        self._tell(request, f"{plural(len(mine), 'sync', 'syncs')} resumed." if mine else "")

    def _mine(self, request: HttpRequest, queryset: QuerySet[Sync]) -> list[Sync]:
        """Those in workspaces where the person may write; the others are told."""
        rows = list(queryset)
        mine = [sync for sync in rows if self.may_press(request, sync)]
        if len(mine) < len(rows):
            left = plural(len(rows) - len(mine), "sync", "syncs")
            messages.warning(request, f"{left} left alone: you may only look at that workspace.")
        return mine

    def _tell(self, request: HttpRequest, told: str) -> None:
        if told:
            messages.success(request, told)

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Sync")
    def shown_sync(self, sync: Sync) -> SafeString:
        return two_lines(entity_title(sync.entity), sync.connection.name)

    @display(description="Last success")
    def last_success(self, sync: Sync) -> SafeString | str:
        return moment(sync.last_success_at)

    @display(description="Next run")
    def next_run(self, sync: Any) -> SafeString | str:
        return planned(sync.status_now.next_scheduled_sync_at if sync.status_now else None)

    @display(description="Data as of")
    def freshness(self, sync: Any) -> SafeString | str:
        shown = moment(sync.data_as_of, empty="—")
        if sync.status_now and sync.status_now.stale:
            return format_html('{} <span class="lsh-error-text">stale</span>', shown)
        return shown

    @display(description="Error")
    def trouble(self, sync: Any) -> SafeString | str:
        error = sync.status_now.error if sync.status_now else None
        if not error:
            return ""
        return error_cell(error)

    @display(description="")
    def row_buttons(self, sync: Any) -> SafeString | str:
        """One button, sent with the form around the list; it leads back to the list as it is."""
        if not self.may_press(sync.seen_by, sync):
            return ""
        fitting = [button for button in self.fitting_buttons(sync.seen_by, sync) if button.name in ("sync", "resume")]
        if not fitting:
            return ""
        address = self.press_address(sync, fitting[0].name)
        back = urlencode({"next": sync.seen_by.get_full_path()})
        return format_html(
            '<button type="submit" class="lsh-button lsh-button-small" formaction="{}?{}">{}</button>',
            address,
            back,
            fitting[0].label,
        )


def _connection_address(sync: Sync) -> str:
    return reverse("admin:connections_connection_change", args=[sync.connection_id])
