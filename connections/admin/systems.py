"""How workspaces use systems: switched on or off, the OAuth client, schedules of new connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from connections.admin.fields import JsonObjectField, LinesField
from connections.models import SystemSettings, SystemSettingsHistory
from connections.services.systems import CLIENT_SECRET, has_client_secret, redirect_uri, update_system_settings
from core.admin import TenantAdmin, badge
from core.errors import LineshaftError
from integrations.registry import catalogue
from workspaces.admin.history import HistoryPages
from workspaces.changes import Source
from workspaces.choices import Environment

KEY = ("workspace", "system", "environment")
VALUES = ("enabled", "oauth_client_id", CLIENT_SECRET, "oauth_hosts", "schedules")


class SystemSettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """Valid means stored, by the service that the API calls too."""

    by: ClassVar[str] = ""

    system = forms.ChoiceField(
        choices=lambda: [(slug, kind.title) for slug, kind in sorted(catalogue().items())],
        widget=UnfoldAdminSelectWidget(),
    )
    environment = forms.ChoiceField(choices=Environment.choices, widget=UnfoldAdminSelectWidget())
    enabled = forms.BooleanField(
        required=False, initial=True, widget=UnfoldBooleanSwitchWidget(), help_text="Whether customers may connect it."
    )
    oauth_client_id = forms.CharField(
        label="OAuth client id",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="Of the app you registered with the system's maker. Only for systems that people sign in to.",
    )
    oauth_client_secret = forms.CharField(
        label="OAuth client secret",
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    remove_secret = forms.BooleanField(
        label="Remove the client secret", required=False, widget=UnfoldBooleanSwitchWidget()
    )
    oauth_hosts = LinesField(
        label="OAuth hosts",
        help_text="Where customers type the address of the sign-in: the hosts the client secret may be sent to, one a line.",
    )
    schedules = JsonObjectField(
        help_text='For new connections, in seconds: {"purchase_order": {"interval_seconds": 300,'
        ' "full_interval_seconds": 86400, "enabled": true}}.'
    )

    class Meta:
        model = SystemSettings
        fields = ()  # named by the admin: workspaces can be listed within a request's scope only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        if row._state.adding:
            del self.fields["remove_secret"]
            return
        for name in ("enabled", "oauth_client_id", "oauth_hosts", "schedules"):
            self.initial[name] = getattr(row, name)
        if has_client_secret(row):
            self.fields[CLIENT_SECRET].help_text = "Stored. Leave it empty to keep it."
        else:
            del self.fields["remove_secret"]

    def _post_clean(self) -> None:
        if self.errors:
            return
        data, row = self.cleaned_data, self.instance
        changes = {name: data[name] for name in VALUES if name in self.changed_data or row._state.adding}
        if not data.get(CLIENT_SECRET):
            changes.pop(CLIENT_SECRET, None)
        if data.get("remove_secret"):
            changes[CLIENT_SECRET] = None
        key = {name: data.get(name) or getattr(row, name) for name in KEY}
        if row._state.adding and SystemSettings.objects.filter(**key).exists():
            self.add_error(None, "There are settings of this system already: change those.")
            return
        try:
            self.instance = update_system_settings(**key, changes=changes, by=self.by)
        except LineshaftError as error:
            for fault in error.errors:
                name = fault.pointer.strip("/").split("/")[0]
                self.add_error(name if name in self.fields else None, fault.detail)
            if not error.errors:
                self.add_error(None, error.detail)

    def save(self, commit: bool = True) -> Any:
        """It is stored already."""
        return self.instance

    def save_m2m(self) -> None:
        """There are none."""


@admin.register(SystemSettings)
class SystemSettingsAdmin(HistoryPages, TenantAdmin):
    """One row for each system, environment and workspace that differs from what is declared."""

    form = SystemSettingsForm
    list_display = ("shown_system", "workspace", "environment", "enabled_badge", "oauth_client_id", "updated_at")
    list_filter = ("environment", "workspace", "enabled")
    list_select_related = ("workspace",)
    search_fields = ("system", "oauth_client_id")
    readonly_fields = ("shown_redirect_uri",)
    enabled_badge = badge(
        "enabled", {True: "success", False: "warning"}, {True: "On", False: "Off"}, description="May be connected"
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        remove = ["remove_secret"] if obj is not None and has_client_secret(obj) else []
        secret = [CLIENT_SECRET, *remove] if self.has_change_permission(request, obj) else []
        return [*KEY, "enabled", "shown_redirect_uri", "oauth_client_id", *secret, "oauth_hosts", "schedules"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("shown_redirect_uri", *(KEY if obj is not None else ()))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if not issubclass(form, SystemSettingsForm):
            return form
        return type("SystemSettingsForm", (form,), {"by": str(request.user), "__module__": __name__})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form stored it."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def history_sources(self, row: SystemSettings) -> Sequence[Source]:
        return [Source(SystemSettingsHistory.objects.filter(pgh_obj_id=row.pk), lambda _: "Settings")]

    def history_search(self, row: SystemSettings) -> str:
        return row.system

    @display(description="System", ordering="system")
    def shown_system(self, row: SystemSettings) -> str:
        kind = catalogue().get(row.system)
        return kind.title if kind else row.system

    @display(description="Redirect address")
    def shown_redirect_uri(self, row: SystemSettings) -> str:
        return format_html('<code class="lsh-code">{}</code><br>Register it with the system\'s maker.', redirect_uri())
