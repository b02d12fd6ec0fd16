"""Webhook endpoints: listed, made, changed, tried out, paused and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core import ids
from core.admin import badge, where_allowed
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import plural
from core.errors import LineshaftError
from webhooks.admin.endpoint_facts import EndpointFacts
from webhooks.admin.forms import ADDED, CHANGED, EndpointForm, RecoverForm, SendTestForm
from webhooks.choices import ENDPOINT_BADGES, EndpointStatus
from webhooks.models import WebhookEndpoint
from webhooks.services import recover, send_test
from webhooks.services.endpoints import (
    delete_endpoint,
    enable_endpoint,
    pause_endpoint,
    resume_endpoint,
    rotate_secret,
)

__all__ = ["WebhookEndpointAdmin"]

_TEST = Button("test", "Send a test", "science", asks=True)
_ROTATE = Button("rotate", "Rotate secret", "key", asks=True)
_DELETE = Button("delete", "Delete", "delete_forever", "danger", asks=True)
_PAUSE, _RESUME = Button("pause", "Pause", "pause", asks=True), Button("resume", "Resume", "play_arrow", "primary")
_ENABLE = Button("enable", "Enable", "restart_alt", "primary", asks=True)
_RECOVER = Button("recover", "Deliver what was missed", "history", asks=True)
_FITTING: Mapping[str, Sequence[Button]] = {
    EndpointStatus.ACTIVE: (_TEST, _RECOVER, _PAUSE, _ROTATE, _DELETE),
    EndpointStatus.PAUSED: (_RESUME, _TEST, _ROTATE, _DELETE),
    EndpointStatus.DISABLED: (_ENABLE, _TEST, _ROTATE, _DELETE),
}


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(EndpointFacts, ButtonAdmin):
    """Endpoints. Everything is done by the services that the API calls too."""

    list_display: Sequence[str] = (
        "shown_name", "status_badge", "shown_success", "shown_failures", "environment", "workspace",
    )  # fmt: skip
    list_filter = ("status", "environment", "workspace")
    list_select_related = ("workspace",)
    list_per_page = 50
    search_fields = ("url", "description")
    search_help_text = "Address, description, or id (whe_ and 32 hex digits)."
    ordering = ("-id",)
    sortable_by = ()
    actions = ()
    form = EndpointForm
    state_fields = (
        "shown_id", "status_badge", "shown_reason", "workspace", "environment", "shown_deliveries", "shown_last_success",
        "shown_last_failure", "shown_failures", "shown_secrets", "shown_created", "created_by",
    )  # fmt: skip
    view_fields = ("url", "description", "shown_connections", "shown_types", "include_initial", "payload")
    change_form_outer_before_template = "webhooks/buttons.html"
    status_badge = badge("status", ENDPOINT_BADGES, dict(EndpointStatus.choices))
    buttons: Sequence[Button] = (_TEST, _RECOVER, _PAUSE, _RESUME, _ENABLE, _ROTATE, _DELETE)

    # --- the form ---------------------------------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleted by its button, which takes the deliveries along without listing each."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        everywhere = getattr(request.user, "is_superuser", False)
        allowed = None if everywhere else where_allowed(request, "webhooks.add_webhookendpoint")
        return type(form.__name__, (form,), {"by": str(request.user), "allowed": allowed, "__module__": __name__})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Workspaces are changed on their own screen, not in a window over this form."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "workspace" and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ADDED})]
        settings = CHANGED if self.has_change_permission(request, obj) else self.view_fields
        return [("How it stands", {"fields": self.state_fields}), ("Settings", {"fields": settings})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.state_fields, *self.view_fields[2:4]) if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint], search_term: str
    ) -> tuple[QuerySet[WebhookEndpoint], bool]:
        value = ids.read(WebhookEndpoint.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[WebhookEndpoint], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = {"show_save_and_add_another": False, "show_save_and_continue": False, **(extra_context or {})}
        endpoint = self.get_object(request, object_id) if object_id else None
        if endpoint is not None:
            extra |= {"buttons": self.offered_buttons(request, endpoint)}
        return super().changeform_view(request, object_id, form_url, extra)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> WebhookEndpoint:
        request.signing_secret = form.secret  # type: ignore[attr-defined]  # for the one answer below
        stored: WebhookEndpoint = form.instance
        return stored

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        """Stored by the form's service already."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing related to save."""

    def response_add(self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: Any = None) -> HttpResponse:
        """Show the secret in this very answer, so that it is kept nowhere."""
        return self._show_once(request, obj, request.signing_secret)  # type: ignore[attr-defined]

    def response_post_save_change(self, request: HttpRequest, obj: WebhookEndpoint) -> HttpResponse:
        return HttpResponseRedirect(self.page_address(obj))

    # --- buttons ----------------------------------------------------------------------------------------------------

    def fitting_buttons(self, request: HttpRequest, row: WebhookEndpoint) -> Sequence[Button]:
        return _FITTING[row.status]

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Those that ask for more than yes, or answer more than a line, have pages of their own."""
        own = {"rotate": self._rotate, "delete": self._delete} if request.method == "POST" else {}
        own |= {"test": self._test, "recover": self._recover}
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

    def ask_pause(self, request: HttpRequest, row: WebhookEndpoint) -> Question:
        told = "Nothing is sent to it until you resume it. What happens meanwhile waits, for 30 days at most."
        return Question("Pause this endpoint?", [told], "Yes, pause it", variant="primary")

    def press_pause(self, request: HttpRequest, row: WebhookEndpoint) -> str:
        pause_endpoint(row)
        return "Paused. What happens from now on waits until you resume it."

    def press_resume(self, request: HttpRequest, row: WebhookEndpoint) -> str:
        resume_endpoint(row)
        return "Resumed. What waited is being sent."

    def ask_enable(self, request: HttpRequest, row: WebhookEndpoint) -> Question:
        lines = [
            f"It was disabled: {row.disabled_reason}",
            "Its failures are forgotten, what is due is sent at once, and what happened meanwhile follows.",
        ]
        return Question("Enable this endpoint?", lines, "Yes, enable it", variant="primary")

    def press_enable(self, request: HttpRequest, row: WebhookEndpoint) -> str:
        enable_endpoint(row)
        return "Enabled. What is due is being sent."

    def ask_rotate(self, request: HttpRequest, row: WebhookEndpoint) -> Question:
        lines = [
            "You will see a new signing secret, once. For 24 hours each message is signed with the present one too, so"
            " that either verifies.",
            "Did the present one leak? Rotate twice: never more than two sign, so the leaked one ends at once.",
        ]
        return Question("Rotate the signing secret?", lines, "Yes, rotate it", variant="primary")

    def ask_delete(self, request: HttpRequest, row: WebhookEndpoint) -> Question:
        lines = ["Nothing is sent to it any more, and what is known of its deliveries goes too. The events stay."]
        return Question("Delete this endpoint?", lines, "Yes, delete it")

    def _rotate(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        clear = rotate_secret(row)
        self.log_change(request, row, "Rotate secret.")
        return self._show_once(request, row, clear, rotated=True)

    def _delete(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        self.log_change(request, row, "Delete.")
        delete_endpoint(row)
        messages.success(request, f"“{row}” is deleted.")
        return HttpResponseRedirect(reverse("admin:webhooks_webhookendpoint_changelist"))

    def _test(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        form = SendTestForm(request.POST or None)
        if not form.is_valid():
            return self._ask(request, row, form, "Send a test", "Send it")
        made = send_test(row, form.cleaned_data["type"], by=str(request.user))
        self.log_change(request, row, "Send a test.")
        messages.success(request, "The test is on its way. Load this page again to see what came back.")
        return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[made.pk]))

    def _recover(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        form = RecoverForm(request.POST or None)
        if not form.is_valid():
            return self._ask(request, row, form, "Deliver what was missed", "Deliver it")
        count = recover(row, since=form.since, by=str(request.user))
        self.log_change(request, row, "Deliver what was missed.")
        text = f"{plural(count, 'delivery', 'deliveries')} due now." if count else "Nothing was missed in that time."
        messages.success(request, text)
        return HttpResponseRedirect(self.page_address(row))

    def _ask(self, request: HttpRequest, row: WebhookEndpoint, form: Any, title: str, yes: str) -> HttpResponse:
        context = {"form": form, "yes": yes, "back": self.page_address(row)}
        return page(self, request, "webhooks/ask.html", title, row, context)

    def _show_once(self, request: HttpRequest, row: WebhookEndpoint, clear: str, **more: Any) -> HttpResponse:
        context = {"secret": clear, "back": self.page_address(row), **more}
        response = page(self, request, "webhooks/secret.html", "The signing secret", row, context)
        response["Cache-Control"] = "no-store"
        return response
