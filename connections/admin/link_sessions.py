"""Link sessions: how far each customer has come, and new links, shown once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from connections.admin.link_forms import NewLinkForm, RenewLinkForm
from connections.choices import LINK_BADGES, LinkStatus
from connections.models import Connection, LinkSession
from connections.services import linking
from connections.services.linking.outcomes import plural_of
from core import ids
from core.admin import badge, may
from core.admin_buttons import Button, ButtonAdmin, Question, page
from core.admin_texts import absolute, json_block, moment, two_lines
from integrations.registry import catalogue

__all__ = ["LinkSessionAdmin", "renewal_button"]

GOING_ON = (LinkStatus.OPEN, LinkStatus.STARTED)
ADDING = "connections.add_linksession"
_RENEWAL = Button("sign_in_again", "Sign in again by link", "link", asks=True)


def renewal_button(request: HttpRequest, connection: Connection) -> list[dict[str, Any]]:
    """Leads from a connection's page to a new link for its customer; none where its connector is not installed."""
    gone = connection.purge_requested_at is not None or connection.system not in catalogue()
    if gone or not may(request, ADDING, connection.workspace_id):
        return []
    address = f"{reverse('admin:connections_linksession_add')}?connection={connection.pk}"
    return [{"button": _RENEWAL, "address": address}]


class LinkStatusFilter(SimpleListFilter):
    """The status that is shown: one that is open beyond its time has expired."""

    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in LinkStatus.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LinkSession]) -> QuerySet[LinkSession]:
        if self.value() == LinkStatus.EXPIRED:
            return queryset.filter(status__in=GOING_ON, expires_at__lte=Now())
        if self.value() in GOING_ON:
            return queryset.filter(status=self.value(), expires_at__gt=Now())
        return queryset.filter(status=self.value()) if self.value() in LinkStatus.values else queryset


@admin.register(LinkSession)
class LinkSessionAdmin(ButtonAdmin):
    """Links given to customers. Their addresses are shown once; afterwards they can be cancelled only."""

    list_display = ("shown_at", "status_badge", "shown_customer", "shown_system", "shown_connection", "environment",
                    "created_by", "workspace")  # fmt: skip
    list_display_links = ("shown_at",)
    list_filter = (LinkStatusFilter, "environment", "is_magic", "workspace")
    list_select_related = ("workspace", "connection")
    list_per_page = 50
    paginator = InfinitePaginator
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("customer_reference", "name")
    search_help_text = "Customer reference, name, or id (lnk_ and 32 hex digits)."
    fields = (
        "shown_id", "status_badge", "workspace", "environment", "shown_system", "name", "customer_reference",
        "shown_metadata", "shown_asked", "shown_purpose", "shown_return", "shown_connection", "shown_checks",
        "shown_created", "created_by", "shown_expires", "shown_finished", "shown_exchanged",
    )  # fmt: skip
    buttons: Sequence[Button] = (Button("cancel", "Cancel", "close", "danger", asks=True),)
    status_badge = badge(linking.status_of, LINK_BADGES, dict(LinkStatus.choices))

    # --- who may what -----------------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LinkSession], search_term: str
    ) -> tuple[QuerySet[LinkSession], bool]:
        value = ids.read(LinkSession.PREFIX, search_term.strip())
        if value is not None:
            return queryset.filter(pk=value), False
        found: tuple[QuerySet[LinkSession], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def row_name(self, row: Any) -> str:
        return f"Link of {absolute(row.created_at)}"

    # --- a new link -------------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        connection = self._renewed(request)
        kind = RenewLinkForm if connection else NewLinkForm
        form: Any = super().get_form(request, obj, change, **{**kwargs, "form": kind})
        return type(form.__name__, (form,), {"renewed": connection, "by": str(request.user)})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return self.fields
        return RenewLinkForm.NAMES if self._renewed(request) else NewLinkForm.NAMES

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        connection = self._renewed(request) if self.has_add_permission(request) else None
        title = f"Sign “{connection.name}” in again by link" if connection else "New link"
        extra = {"title": title, "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**extra, **(extra_context or {})})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> LinkSession:
        request.link_address = linking.link_address(form.token)  # type: ignore[attr-defined]  # for the one answer below
        made: LinkSession = form.instance
        return made

    def save_model(self, request: HttpRequest, obj: LinkSession, form: Any, change: bool) -> None:
        """Made by the form's service already."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing related to save."""

    def response_add(self, request: HttpRequest, obj: LinkSession, post_url_continue: Any = None) -> HttpResponse:
        """Show the address in this very answer, so that it is kept nowhere."""
        context = {
            "session": obj,
            "address": request.link_address,  # type: ignore[attr-defined]
            "expires": absolute(obj.expires_at),
            "back": self.page_address(obj),
        }
        response = page(self, request, "connections/link_created.html", "The link is made", obj, context)
        response["Cache-Control"] = "no-store"
        return response

    def _renewed(self, request: HttpRequest) -> Connection | None:
        """The connection to be signed in again that the address names."""
        named = request.GET.get("connection", "")
        if not named:
            return None
        found: Connection | None = getattr(request, "renewed_connection", None)
        if found is None:
            found = _connection(named)
            if not may(request, "connections.add_linksession", found.workspace_id):
                raise PermissionDenied
            request.renewed_connection = found  # type: ignore[attr-defined]  # asked for several times a page
        return found

    # --- cancelling -------------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra: dict[str, Any] = dict(extra_context or {})
        session = self.get_object(request, object_id) if object_id else None
        if session is not None:
            extra |= {"buttons": self.offered_buttons(request, session)}
        return super().changeform_view(request, object_id, form_url, extra)

    change_form_outer_before_template = "core/buttons.html"

    def fitting_buttons(self, request: HttpRequest, row: LinkSession) -> Sequence[Button]:
        return self.buttons if linking.status_of(row) in GOING_ON else ()

    def ask_cancel(self, request: HttpRequest, session: LinkSession) -> Question:
        told = "The address leads nowhere any more, and what the customer has entered is erased."
        return Question(title="Cancel this link?", lines=[told], yes="Yes, cancel it")

    def press_cancel(self, request: HttpRequest, session: LinkSession) -> str:
        linking.cancel(session)
        return "The link is cancelled; what was entered is erased."

    # --- shown ------------------------------------------------------------------------------------------------------

    @display(description="Id")
    def shown_id(self, session: LinkSession) -> str:
        return linking.shown_id(session)

    @display(description="Made")
    def shown_at(self, session: LinkSession) -> SafeString | str:
        return moment(session.created_at)

    @display(description="Customer")
    def shown_customer(self, session: LinkSession) -> SafeString | str:
        return two_lines(session.name or "—", session.customer_reference)

    @display(description="System")
    def shown_system(self, session: LinkSession) -> str:
        slug = session.chosen_system or session.system
        kind = catalogue().get(slug)
        return kind.title if kind else slug or "The customer chooses"

    @display(description="Connection")
    def shown_connection(self, session: LinkSession) -> SafeString | str:
        connection = session.connection
        if connection is None or connection.purge_requested_at is not None:
            return "—"
        address = reverse("admin:connections_connection_change", args=[connection.pk])
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, connection.name)

    @display(description="Metadata")
    def shown_metadata(self, session: LinkSession) -> SafeString:
        return json_block(session.metadata)

    @display(description="Asked for")
    def shown_asked(self, session: LinkSession) -> str:
        if session.entities is None:
            asked = ["Everything the system has"]
        else:
            asked = [f"{plural_of(name)} ({access.replace('_', ' and ')})" for name, access in session.entities.items()]
        return ", ".join([*asked, *(["raw calls"] if session.passthrough else [])])

    @display(description="Purpose")
    def shown_purpose(self, session: LinkSession) -> str:
        return "To sign an existing connection in again" if session.is_renewal else "A new connection"

    @display(description="Returns to")
    def shown_return(self, session: LinkSession) -> str:
        return session.redirect_uri or session.origin or "Nowhere: the customer closes the window"

    @display(description="Last test")
    def shown_checks(self, session: LinkSession) -> str:
        checks = session.found.get("outcome", {}).get("checks", [])
        return " ".join(f"{check['label']}: {check['detail']}" for check in checks) or "None"

    @display(description="Made")
    def shown_created(self, session: LinkSession) -> str:
        return absolute(session.created_at)

    @display(description="Valid until")
    def shown_expires(self, session: LinkSession) -> str:
        return absolute(session.expires_at)

    @display(description="Finished")
    def shown_finished(self, session: LinkSession) -> str:
        return absolute(session.finished_at) if session.finished_at else "—"

    @display(description="Token taken")
    def shown_exchanged(self, session: LinkSession) -> str:
        return absolute(session.exchanged_at) if session.exchanged_at else "—"


def _connection(named: str) -> Connection:
    """The connection of this id that the person may see. Errors: Http404."""
    try:
        value = UUID(named)
    except ValueError as error:
        raise Http404 from error
    found: Connection | None = Connection.objects.filter(pk=value, purge_requested_at=None).first()
    if found is None or found.system not in catalogue():
        raise Http404
    return found
