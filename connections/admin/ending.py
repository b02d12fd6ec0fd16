"""Screens about the end of a connection: disconnect, reconnect, delete."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from connections import services
from connections.admin.forms import REFERENCE, SECRET, SETTING, ConnectionForm, form_for
from connections.admin.telling import tell_outcome
from connections.models import Connection
from connections.services.credentials import stored_names
from core.admin_buttons import Question, page
from core.admin_texts import plural
from core.errors import FieldError, ValidationFailedError
from workspaces.models import ApiToken

__all__ = ["DeletedFilter", "ask_delete", "ask_disconnect", "press_delete", "reconnect_page"]

RECONNECT_FIELDS = ("client_certificate", "client_key")


class DeletedFilter(SimpleListFilter):
    """Deleted connections whose data is being purged are shown to superusers, when they ask for them."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("purging", "Being purged")] if getattr(request.user, "is_superuser", False) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet[Connection]:
        if self.value() == "purging":
            return queryset.filter(purge_requested_at__isnull=False)
        kept: QuerySet[Connection] = queryset.kept()  # type: ignore[attr-defined]
        return kept


def ask_disconnect(connection: Connection) -> Question:
    secrets = len(stored_names(connection))
    tokens = ApiToken.objects.filter(connection_id=connection.pk, revoked_at=None).count()
    return Question(
        title=f"Disconnect “{connection.name}”?",
        lines=[
            f"{plural(secrets, 'secret')} will be deleted and {plural(tokens, 'token')} of this connection revoked. "
            "Syncs stop at their page, and what was not sent yet is not sent any more.",
            "The records copied so far stay readable. You can reconnect it later: the secrets are entered again then.",
        ],
        yes="Yes, disconnect",
    )


def ask_delete(connection: Connection) -> Question:
    return Question(
        title=f"Delete “{connection.name}” and all of its data?",
        lines=[
            "Everything copied from the system goes: its records, runs, operations, calls and mappings; its secrets and "
            "tokens at once. The data of its events is emptied. The audit log keeps a receipt with the number of rows.",
            "This cannot be undone, but by a backup.",
        ],
        yes="Yes, delete everything",
        must_type=connection.name,
    )


def press_delete(request: HttpRequest, connection: Connection) -> str:
    """Errors: ValidationFailedError when another name was typed."""
    if request.POST.get("typed", "").strip() != connection.name.strip():
        detail = f"Nothing was deleted: type “{connection.name}” to say that you mean this connection."
        raise ValidationFailedError(detail, errors=(FieldError("/typed", "WRONG_NAME", detail),))
    name = connection.name
    services.delete_connection(connection, by=str(request.user))
    return f"“{name}” is deleted; what was copied from it goes within minutes."


def reconnect_page(admin: Any, request: HttpRequest, connection: Connection) -> HttpResponse:
    """The form of a disconnected connection's settings and secrets. POST reconnects it and tries it out."""
    form_class = _form_for(connection, by=str(request.user))
    form = form_class(request.POST or None, instance=connection)
    if request.method == "POST" and form.is_valid():
        admin.log_change(request, connection, "Reconnected.")
        tell_outcome(request, services.check_connection(connection, by=str(request.user)))
        return HttpResponseRedirect(admin.page_address(connection))
    title = f"Reconnect “{connection.name}”"
    context = {"form": form, "back": admin.page_address(connection)}
    return page(admin, request, "connections/reconnect.html", title, connection, context)


class _ReconnectForm(ConnectionForm):
    """Only what a disconnected connection needs to begin again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        drawn = [name for name in self.fields if name.startswith((SETTING, SECRET, REFERENCE))]
        self.fields = {name: self.fields[name] for name in (*drawn, *RECONNECT_FIELDS)}

    def _update(self) -> None:
        services.reconnect_connection(
            self.instance,
            config=self._config(),
            secrets=self._secrets(),
            client_certificate=self.cleaned_data["client_certificate"],
            client_key=self.cleaned_data["client_key"],
            by=self.by,
            check=False,
        )


def _form_for(connection: Connection, *, by: str) -> type[_ReconnectForm]:
    """With no secret stored, each is asked for again."""
    drawn = form_for(services.connector_of(connection), stored=frozenset(), by=by)
    return type(f"Reconnect{drawn.__name__}", (_ReconnectForm, drawn), {"__module__": __name__})
