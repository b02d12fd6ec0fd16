"""Tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from core import ids
from core.admin import TenantAdmin, badge
from workspaces import tokens
from workspaces.choices import TOKEN_BADGES, TokenStatus
from workspaces.forms import NEW_TOKEN_FIELDS, NewTokenForm
from workspaces.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(TenantAdmin):
    """Tokens. Made by the service, shown once; afterwards only their name can change."""

    list_display = ("name", "status_badge", "workspace", "environment", "shown_prefix", "last_used_at", "expires_at")
    list_filter = ("environment", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("name", "key")
    search_help_text = "Name, or the public part of a token: the 12 characters after lsh_live_ or lsh_test_."
    fields = (
        "name",
        "status_badge",
        "workspace",
        "environment",
        "shown_connection",
        "shown_prefix",
        "shown_scopes",
        "shown_networks",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    actions_detail = ("revoke",)
    status_badge = badge(tokens.status_of, TOKEN_BADGES, dict(TokenStatus.choices))

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if obj else {"form": NewTokenForm}), **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return self.fields if obj else NEW_TOKEN_FIELDS

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return tuple(name for name in self.fields if name != "name") if obj else ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = {"show_save_and_add_another": False, "show_save_and_continue": False, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, extra)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        values = {name: form.cleaned_data[name] for name in NEW_TOKEN_FIELDS}
        made, clear = tokens.create_token(**values, created_by=str(request.user))
        obj.pk = made.pk
        obj.refresh_from_db()
        request.clear_token = clear  # type: ignore[attr-defined]  # for the one answer below

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: Any = None) -> HttpResponse:
        """Show the token in this very answer, so that it is kept nowhere."""
        context = {"token": obj, "clear": request.clear_token}  # type: ignore[attr-defined]
        response = self._page(request, "token_created.html", "The token is made", obj, context)
        response["Cache-Control"] = "no-store"
        return response

    @action(description="Revoke", url_path="revoke", permissions=["change"], variant=ActionVariant.DANGER)
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then refuse the token from now on."""
        token = self.get_object(request, object_id)
        if token is None:
            raise Http404
        if not self.has_change_permission(request, token):
            raise PermissionDenied
        if request.method != "POST":
            context = {"token": token, "prefix": tokens.prefix_of(token)}
            return self._page(request, "token_revoke.html", "Revoke a token", token, context)
        if tokens.revoke_token(token=token, revoked_by=str(request.user)):
            self.log_change(request, token, "Revoked.")
            messages.success(request, f"“{token.name}” is revoked and refused from now on.")
        else:
            messages.info(request, f"“{token.name}” was revoked before.")
        return HttpResponseRedirect(reverse("admin:workspaces_apitoken_change", args=[token.pk]))

    def _page(
        self, request: HttpRequest, template: str, title: str, token: ApiToken, context: dict[str, Any]
    ) -> TemplateResponse:
        back = reverse("admin:workspaces_apitoken_change", args=[token.pk])
        every = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "back": back, **context}
        return TemplateResponse(request, f"workspaces/{template}", every)

    @display(description="Begins with")
    def shown_prefix(self, token: ApiToken) -> str:
        return tokens.prefix_of(token) + "…"

    @display(description="Sees")
    def shown_connection(self, token: ApiToken) -> str:
        return ids.show("con", token.connection_id) or "The whole workspace"

    @display(description="May do")
    def shown_scopes(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @display(description="May be used from")
    def shown_networks(self, token: ApiToken) -> str:
        return ", ".join(token.allowed_networks) or "Anywhere"
