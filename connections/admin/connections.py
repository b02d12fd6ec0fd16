"""Connections: listed, added in two steps, changed, tried out, paused and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from connections import services
from connections.admin import ending, mapping_editor, mappings
from connections.admin.capabilities import capability_page, capability_panel
from connections.admin.ending import DeletedFilter
from connections.admin.filters import StatusFilter, SystemFilter
from connections.admin.forms import ConnectionForm, form_for, form_sections
from connections.admin.link_sessions import renewal_button
from connections.admin.panels import connection_facts
from connections.admin.telling import tell_outcome
from connections.choices import CONNECTION_BADGES, ConnectionStatus
from connections.models import CapabilityOverrideHistory, Connection, ConnectionHistory
from connections.services.credentials import stored_names, stored_places
from core import ids
from core.admin import badge, roles_of
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import json_block, plural
from integrations.registry import catalogue
from workspaces.admin.history import HistoryPages
from workspaces.changes import Source

VIEW_FIELDS = (
    "name", "shown_system", "workspace", "environment", "customer_reference", "shown_metadata", "time_zone",
    "shown_settings", "shown_secrets", "proxy", "page_size",
)  # fmt: skip
ENVIRONMENT_BADGES = {"live": "primary", "test": ""}


@admin.register(Connection)
class ConnectionAdmin(HistoryPages, ButtonAdmin):
    """Connections. Everything is done by the services that the API calls too."""

    list_display: Sequence[str] = (
        "name", "shown_system", "status_badge", "environment_badge", "customer_reference", "workspace",
    )  # fmt: skip
    list_filter = (StatusFilter, SystemFilter, "environment", "workspace", DeletedFilter)
    list_select_related = ("workspace",)
    list_per_page = 50
    search_fields = ("name", "customer_reference")
    search_help_text = "Name, customer reference, or id (con_ and 32 hex digits)."
    ordering = ("name", "id")
    readonly_fields = ("shown_system", "shown_metadata", "shown_settings", "shown_secrets")
    actions = ()
    change_form_outer_before_template = "connections/panel.html"
    change_form_outer_after_template = "connections/below.html"
    status_badge = badge("status", CONNECTION_BADGES, dict(ConnectionStatus.choices))
    environment_badge = badge("environment", ENVIRONMENT_BADGES, description="Environment", ordering="environment")
    buttons: Sequence[Button] = (
        Button("check", "Check now", "network_check", "primary"),
        Button("pause", "Pause", "pause"),
        Button("resume", "Resume", "play_arrow"),
        Button("reconnect", "Reconnect", "link", "primary", asks=True),
        Button("disconnect", "Disconnect", "link_off", "danger", asks=True),
        Button("delete", "Delete", "delete_forever", "danger", asks=True),
    )

    # --- who and which --------------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A connection that was ended, or whose connector is not installed, can only be looked at."""
        frozen = isinstance(obj, Connection) and (
            obj.health == ConnectionStatus.DISCONNECTED or obj.system not in catalogue()
        )
        return not frozen and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        """Without those that were deleted; superusers may ask for them by a filter."""
        rows: Any = super().get_queryset(request)
        found: QuerySet[Connection] = rows if getattr(request.user, "is_superuser", False) else rows.kept()
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Connection], search_term: str
    ) -> tuple[QuerySet[Connection], bool]:
        value = _id_in(search_term)
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[Connection], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """Without the workspace for who belongs to one only."""
        several = request.user.is_superuser or len(roles_of(request)) > 1
        return [name for name in self.list_display if several or name != "workspace"]

    # --- adding and changing ----------------------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """First the system, then its form."""
        if "system" not in request.GET and self.has_add_permission(request):
            kinds = sorted(catalogue().values(), key=lambda kind: kind.title.lower())
            # As plain values: a template would call a class.
            systems = [
                {name: getattr(kind, name) for name in ("slug", "title", "summary", "simulated")} for kind in kinds
            ]
            return page(self, request, "connections/choose_system.html", "Which system?", None, {"systems": systems})
        if request.GET.get("system", "") not in catalogue() and self.has_add_permission(request):
            raise Http404
        return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if self._is_editable(request, obj):
            kwargs["form"] = self._form(request, obj)
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self._is_editable(request, obj):
            return [(None, {"fields": VIEW_FIELDS})]
        return form_sections(self._form(request, obj), adding=obj is None)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Workspaces are changed on their own screen, not in a window over this form."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "workspace" and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "workspace", "environment") if obj else ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form is stored in a transaction; the system is spoken to after it, never within."""
        extra = {"show_save_and_add_another": False, "show_save_and_continue": False, **(extra_context or {})}
        if object_id is not None:
            extra |= self._context(request, object_id)
        response = super().changeform_view(request, object_id, form_url, extra)
        form: ConnectionForm | None = getattr(request, "stored_form", None)
        if form is not None and form.needs_check:
            tell_outcome(request, services.check_connection(form.instance, by=str(request.user)))
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Connection:
        request.stored_form = form  # type: ignore[attr-defined]  # for the check after the transaction
        stored: Connection = form.instance
        return stored

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        """Stored by the form's service already."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing related to save."""

    def response_post_save_add(self, request: HttpRequest, obj: Connection) -> HttpResponse:
        return HttpResponseRedirect(self.page_address(obj))

    def response_post_save_change(self, request: HttpRequest, obj: Connection) -> HttpResponse:
        return HttpResponseRedirect(self.page_address(obj))

    def _is_editable(self, request: HttpRequest, obj: Any) -> bool:
        return obj is None or self.has_change_permission(request, obj)

    def _form(self, request: HttpRequest, obj: Any) -> type[ConnectionForm]:
        """Asked for several times while a page is made; the names of the secrets are read once."""
        kept: type[ConnectionForm] | None = getattr(request, "connection_form", None)
        if kept is None:
            kind = services.connector_of(obj) if obj else catalogue()[request.GET.get("system", "")]
            places = stored_places(obj) if obj else {}
            references = {name: reference for name, reference in places.items() if reference}
            kept = form_for(kind, stored=frozenset(places), references=references, by=str(request.user))
            request.connection_form = kept  # type: ignore[attr-defined]
        return kept

    def _context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        connection = self.get_object(request, object_id)
        if connection is None or request.method == "POST":
            return {}
        return self.panel_context(request, connection)

    def panel_context(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        """What stands above and below the form. The room above adds to it."""
        known = connection.system in catalogue()
        return {
            "connection": connection,
            "facts": connection_facts(connection),
            "status_colour": CONNECTION_BADGES[ConnectionStatus(connection.status)],
            "status_label": ConnectionStatus(connection.status).label,
            "buttons": self.offered_buttons(request, connection),
            "capabilities": capability_panel(request, connection) if known else None,
            "mappings": mappings.mapping_tables(connection) if known else [],
            "may_map": self.has_change_permission(request, connection),
        }

    # --- buttons --------------------------------------------------------------------------------------------------

    def offered_buttons(self, request: HttpRequest, row: Connection) -> list[dict[str, Any]]:
        """With the way to a link by which the customer signs in again."""
        return [*super().offered_buttons(request, row), *renewal_button(request, row)]

    def fitting_buttons(self, request: HttpRequest, row: Connection) -> list[Button]:
        if row.purge_requested_at is not None:
            return []
        if row.health == ConnectionStatus.DISCONNECTED:
            fitting = {"reconnect", "delete"} if row.system in catalogue() else {"delete"}
            return [button for button in self.buttons if button.name in fitting]
        hidden = {"pause" if row.paused else "resume", "reconnect"}
        if row.system not in catalogue():
            hidden.add("check")
        return [button for button in self.buttons if button.name not in hidden]

    def press_check(self, request: HttpRequest, connection: Connection) -> str:
        tell_outcome(request, services.check_connection(connection, by=str(request.user)))
        return ""

    def press_pause(self, request: HttpRequest, connection: Connection) -> str:
        services.pause_connection(connection, by=str(request.user))
        return f"“{connection.name}” is paused: none of its syncs starts until you resume it."

    def press_resume(self, request: HttpRequest, connection: Connection) -> str:
        services.resume_connection(connection, by=str(request.user))
        return f"“{connection.name}” goes on: due syncs start within a second or two."

    def ask_disconnect(self, request: HttpRequest, connection: Connection) -> Question:
        return ending.ask_disconnect(connection)

    def press_disconnect(self, request: HttpRequest, connection: Connection) -> str:
        secrets = len(stored_names(connection))
        services.disconnect_connection(connection, by=str(request.user))
        return f"“{connection.name}” is disconnected; {plural(secrets, 'secret')} deleted. Its records stay readable."

    def ask_delete(self, request: HttpRequest, connection: Connection) -> Question:
        return ending.ask_delete(connection)

    def press_delete(self, request: HttpRequest, connection: Connection) -> str:
        return ending.press_delete(request, connection)

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Reconnecting is a form of its own."""
        if name != "reconnect":
            return super().press_view(request, object_id, name)
        connection = self.row_or_404(request, object_id)
        if not self.may_press(request, connection):
            raise PermissionDenied
        if all(button.name != name for button in self.fitting_buttons(request, connection)):
            messages.error(request, f"“{connection.name}” is not disconnected: change its settings here instead.")
            return HttpResponseRedirect(self.page_address(connection))
        return ending.reconnect_page(self, request, connection)

    def page_address(self, row: Any) -> str:
        """Of one that was deleted there is no page any more."""
        if isinstance(row, Connection) and row.purge_requested_at is not None:
            return reverse("admin:connections_connection_changelist")
        return super().page_address(row)

    # --- mappings and capabilities --------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        views = {"mapping": self.mapping_view, "capabilities": self.capability_view}
        own = [
            path(
                f"<uuid:object_id>/{name}/<slug:entity>/",
                self.admin_site.admin_view(view),
                name=f"connections_connection_{name}",
            )
            for name, view in views.items()
        ]
        urls: list[URLPattern] = super().get_urls()
        return own + urls

    def capability_view(self, request: HttpRequest, object_id: UUID, entity: str) -> HttpResponse:
        return capability_page(self, request, self.row_or_404(request, object_id), entity)

    def mapping_view(self, request: HttpRequest, object_id: UUID, entity: str) -> HttpResponse:
        return mapping_editor.mapping_page(self, request, self.row_or_404(request, object_id), entity)

    def mapping_extras(self, request: HttpRequest, connection: Connection, entity: str) -> dict[str, Any]:
        """What the room above knows of what is stored, for the page of a mapping."""
        return {}

    # --- history ----------------------------------------------------------------------------------------------------

    def history_sources(self, row: Connection) -> Sequence[Source]:
        """The room above adds to it."""
        overrides = CapabilityOverrideHistory.objects.filter(connection_id=row.pk)
        return [
            Source(ConnectionHistory.objects.filter(pgh_obj_id=row.pk), lambda _: "Connection"),
            Source(overrides, lambda each: f"Override of {each.operation} {each.entity} {each.field}".strip()),
        ]

    def history_search(self, row: Connection) -> str:
        return ids.show(Connection.PREFIX, row.pk) or ""

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="System", ordering="system")
    def shown_system(self, connection: Connection) -> str:
        kind = catalogue().get(connection.system)
        return kind.title if kind else f"{connection.system} (not installed)"

    @display(description="Metadata")
    def shown_metadata(self, connection: Connection) -> SafeString:
        return json_block(connection.metadata)

    @display(description="Settings")
    def shown_settings(self, connection: Connection) -> SafeString:
        return json_block(connection.config)

    @display(description="Secrets")
    def shown_secrets(self, connection: Connection) -> str:
        places = sorted(stored_places(connection).items())
        return ", ".join(f"{name} ({reference or 'stored'})" for name, reference in places) or "None stored"


def _id_in(text: str) -> UUID | None:
    try:
        return ids.read(Connection.PREFIX, text.strip()) or UUID(text.strip())
    except ValueError:
        return None
