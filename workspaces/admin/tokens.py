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
from core.admin import TenantAdmin, badge, roles_of
from core.errors import LineshaftError
from workspaces import tokens
from workspaces.choices import TOKEN_BADGES, Role, TokenStatus
from workspaces.forms import NEW_TOKEN_FIELDS, NewTokenForm, RotateTokenForm
from workspaces.models import ApiToken
from workspaces.roles import beyond, narrowed


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
        "shown_person",
        "shown_prefix",
        "shown_scopes",
        "shown_networks",
        "shown_place",
        "shown_line",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    actions_detail = ("rotate", "revoke")
    status_badge = badge(tokens.status_of, TOKEN_BADGES, dict(TokenStatus.choices))

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        roles = None if getattr(request.user, "is_superuser", False) else roles_of(request)
        form = type("NewTokenForm", (NewTokenForm,), {"roles": roles, "__module__": __name__})
        return super().get_form(request, obj, change, form=form, **kwargs)

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
            if "name" in form.changed_data:
                tokens.rename_token(token=obj, before=form.initial["name"])
            return
        values = {name: form.cleaned_data[name] for name in NEW_TOKEN_FIELDS if name != "for_myself"}
        person_id = request.user.pk if form.cleaned_data["for_myself"] else None
        made, clear = tokens.create_token(**values, person_id=person_id, created_by=str(request.user))
        obj.pk = made.pk
        obj.refresh_from_db()
        request.clear_token = clear  # type: ignore[attr-defined]  # for the one answer below

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: Any = None) -> HttpResponse:
        """Show the token in this very answer, so that it is kept nowhere."""
        return self._show_once(request, obj, request.clear_token)  # type: ignore[attr-defined]

    @action(description="Rotate", url_path="rotate", permissions=["change"], variant=ActionVariant.PRIMARY)
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how long the old token shall work on, then show the new one in this very answer."""
        token = self._changeable(request, object_id)
        if token.person_id not in (None, request.user.pk):
            messages.error(request, "This token belongs to a person, who alone may rotate it. You may revoke it.")
            return self._back_to(token)
        if missing := self._beyond(request, token):
            messages.error(request, f"This token may do more than your role: {', '.join(missing)}. You may revoke it.")
            return self._back_to(token)
        form = RotateTokenForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            context = {"token": token, "prefix": tokens.prefix_of(token), "form": form}
            return self._page(request, "token_rotate.html", "Rotate a token", token, context)
        try:
            made, clear = tokens.rotate_token(
                token=token, overlap_seconds=form.cleaned_data["overlap"], by=str(request.user)
            )
        except LineshaftError as error:
            messages.error(request, error.detail)
            return self._back_to(token)
        self.log_change(request, token, "Rotated.")
        return self._show_once(request, made, clear, old=token)

    @action(description="Revoke", url_path="revoke", permissions=["change"], variant=ActionVariant.DANGER)
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then refuse the token from now on."""
        token = self._changeable(request, object_id)
        if request.method != "POST":
            context = {"token": token, "prefix": tokens.prefix_of(token)}
            return self._page(request, "token_revoke.html", "Revoke a token", token, context)
        if tokens.revoke_token(token=token, revoked_by=str(request.user)):
            self.log_change(request, token, "Revoked.")
            messages.success(request, f"“{token.name}” is revoked and refused from now on.")
        else:
            messages.info(request, f"“{token.name}” was revoked before.")
        return self._back_to(token)

    def _beyond(self, request: HttpRequest, token: ApiToken) -> list[str]:
        """Scopes of a service's token that the person does not have: the new token is shown to who rotates it."""
        if token.person_id is not None or getattr(request.user, "is_superuser", False):
            return []
        return beyond(token.scopes, roles_of(request)[token.workspace_id])

    def _changeable(self, request: HttpRequest, object_id: str) -> ApiToken:
        token: ApiToken | None = self.get_object(request, object_id)
        if token is None:
            raise Http404
        if not self.has_change_permission(request, token):
            raise PermissionDenied
        return token

    def _back_to(self, token: ApiToken) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:workspaces_apitoken_change", args=[token.pk]))

    def _show_once(self, request: HttpRequest, token: ApiToken, clear: str, **more: Any) -> HttpResponse:
        may = token.scopes
        if token.person_id is not None and not getattr(request.user, "is_superuser", False):
            may = narrowed(may, roles_of(request).get(token.workspace_id, Role.AUDITOR))
        context = {"token": token, "clear": clear, "may": may, **more}
        response = self._page(request, "token_created.html", "The token is made", token, context)
        response["Cache-Control"] = "no-store"
        return response

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

    @display(description="Belongs to")
    def shown_person(self, token: ApiToken) -> str:
        return str(token.person) if token.person is not None else "A service"

    @display(description="Was written to")
    def shown_place(self, token: ApiToken) -> str:
        return token.kept_at or "Nowhere by the platform: it was shown once"

    @display(description="Rotated")
    def shown_line(self, token: ApiToken) -> str:
        """What it replaced and what replaced it, by the part that may be shown."""
        newer = ApiToken.objects.filter(replaces_id=token.pk).first()
        told = [f"in place of {tokens.prefix_of(token.replaces)}…"] if token.replaces is not None else []
        told += [f"replaced by {tokens.prefix_of(newer)}…"] if newer is not None else []
        return "; ".join(told) or "Not yet"

    @display(description="May do")
    def shown_scopes(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @display(description="May be used from")
    def shown_networks(self, token: ApiToken) -> str:
        return ", ".join(token.allowed_networks) or "Anywhere"
