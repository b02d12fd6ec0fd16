"""What this room adds to the screen of a connection: the address at which its system tells of changes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from connections.admin import ConnectionAdmin
from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.screen_texts import entity_title
from core.admin_buttons import page
from core.admin_texts import moment, plural
from core.errors import LineshaftError
from integrations.registry import catalogue
from webhooks.models import HookAddress
from webhooks.services import hook_addresses

__all__ = ["HookedConnectionAdmin"]

_NAME = "connections_connection_hook_address"


class HookedConnectionAdmin(ConnectionAdmin):
    """Connections with their hook address. The room above registers it."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.hook_address_view)
        own = [path("<uuid:object_id>/hook-address/", view, name=_NAME)]
        urls: list[URLPattern] = super().get_urls()
        return own + urls

    def hook_links(self, request: HttpRequest, connection: Connection) -> list[dict[str, str]]:
        """To the page of the address, for who may change it, and to what came."""
        kind = catalogue().get(connection.system)
        if kind is None or kind.hooks is None:
            return []
        came = reverse("admin:webhooks_inboundhook_changelist")
        query = urlencode({"connection__id__exact": str(connection.pk)})
        links = [{"label": "Messages of the system", "address": f"{came}?{query}"}]
        if self.has_change_permission(request, connection):
            links.insert(0, {"label": "Hook address", "address": reverse(f"admin:{_NAME}", args=[connection.pk])})
        return links

    def hook_address_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        connection = self.row_or_404(request, object_id)
        if not self.may_press(request, connection):
            raise PermissionDenied
        kind = catalogue().get(connection.system)
        if kind is None or kind.hooks is None or connection.health == ConnectionStatus.DISCONNECTED:
            raise Http404
        if request.method == "POST":
            return self._changed(request, connection)
        return self._page(request, connection)

    def _changed(self, request: HttpRequest, connection: Connection) -> HttpResponse:
        """One of three: make or renew (with the secrets, where some were entered), store secrets, remove."""
        secrets = [line.strip() for line in request.POST.get("secrets", "").splitlines() if line.strip()]
        try:
            if "make" in request.POST:
                _, url = hook_addresses.make_address(connection, signing_secrets=secrets or None)
                self.log_change(request, connection, "Hook address made.")
                return self._page(request, connection, url=url)
            if "store" in request.POST:
                hook_addresses.store_signing_secrets(connection, secrets)
                told = f"{plural(len(secrets), 'signing secret')} stored in place of the former."
            else:
                hook_addresses.remove_address(connection)
                told = "The address leads nowhere any more."
        except LineshaftError as error:
            messages.error(request, error.detail)
        else:
            self.log_change(request, connection, "Hook address changed.")
            messages.success(request, told)
        return HttpResponseRedirect(reverse(f"admin:{_NAME}", args=[connection.pk]))

    def _page(self, request: HttpRequest, connection: Connection, *, url: str = "") -> HttpResponse:
        """With the address in this very answer, where it was just made: it is kept nowhere."""
        hooks = hook_addresses.hooks_of(connection)
        row = HookAddress.objects.filter(connection_id=connection.pk).first()
        context: dict[str, Any] = {
            "url": url,
            "has_address": row is not None,
            "has_secret": row is not None and hook_addresses.has_signing_secret(row),
            "last_received": moment(row.last_received_at if row else None),
            "made": moment(row.created_at if row else None),
            "is_signed": hooks.signature is not None,
            "header": hooks.signature.header if hooks.signature else "",
            "events": [(kind, entity_title(entity)) for kind, entity in hooks.entities.items()],
            "note": hooks.note,
            "back": self.page_address(connection),
        }
        title = f"Hook address of “{connection.name}”"
        response = page(self, request, "webhooks/hook_address.html", title, connection, context)
        response["Cache-Control"] = "no-store"
        return response
