"""Screens of this room: workspaces with their members, tokens, events; and the people of the installation."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core import ids
from core.admin import HistoryAdmin, TenantAdmin, TenantInline, badge
from workspaces import tokens
from workspaces.choices import TOKEN_BADGES, TokenStatus
from workspaces.forms import NEW_TOKEN_FIELDS, MemberForm, NewTokenForm
from workspaces.models import ApiToken, Event, Membership, Workspace
from workspaces.services import let_in


class MemberInline(TenantInline):
    """Who belongs to a workspace. Owners decide."""

    model = Membership
    form = MemberForm
    workspace_path = "pk"
    writing_roles = ("owner",)
    fields = ("user", "role")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset(request)
        return rows.select_related("user", "workspace")  # both stand in the row's name


@admin.register(Workspace)
class WorkspaceAdmin(TenantAdmin):
    """Workspaces. The operator of the installation makes them, their owners name them and choose their members."""

    workspace_path = "pk"
    writing_roles = ("owner",)
    list_display = ("name", "slug", "members", "created_at")
    ordering = ("name",)  # the default one is lost when rows are counted
    search_fields = ("name", "slug")
    fields = ("name", "slug", "created_at")
    readonly_fields = ("created_at",)
    inlines = (MemberInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        rows: QuerySet[Workspace] = super().get_queryset(request)
        return rows.annotate(member_count=Count("memberships"))

    def get_readonly_fields(self, request: HttpRequest, obj: Workspace | None = None) -> tuple[str, ...]:
        """Slugs are unique across the installation, so only who sees it all can choose one."""
        return ("created_at",) if request.user.is_superuser else ("slug", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for member in formset.new_objects:
            let_in(member.user)

    @display(description="Members", ordering="member_count")
    def members(self, workspace: Any) -> int:
        return int(workspace.member_count)


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


@admin.register(Event)
class EventAdmin(HistoryAdmin, TenantAdmin):
    """The feed as it was written. Nothing in it can be changed."""

    list_display = ("position", "type", "shown_connection", "workspace", "environment", "created_at")
    list_display_links = ("position", "type")
    list_filter = ("type", "environment", "workspace")
    list_select_related = ("workspace",)
    ordering = ("-created_at",)
    search_fields = ("connection_id",)
    search_help_text = "Id of a connection: con_ and 32 hex digits."
    fields = ("position", "type", "shown_connection", "workspace", "environment", "created_at", "shown_body")
    readonly_fields = fields
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset(request)
        name = request.resolver_match.url_name if request.resolver_match else None
        return rows.defer("body") if name == "workspaces_event_changelist" else rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        if not search_term.strip():
            return queryset, False
        value = _connection_id(search_term.strip())
        return (queryset.filter(connection_id=value) if value else queryset.none()), False

    @display(description="Connection")
    def shown_connection(self, event: Event) -> str | None:
        return ids.show("con", event.connection_id)

    @display(description="Body")
    def shown_body(self, event: Event) -> str:
        pretty = json.dumps(json.loads(event.body), indent=2, ensure_ascii=False)
        return format_html('<pre class="overflow-x-auto whitespace-pre-wrap">{}</pre>', pretty)


def _connection_id(text: str) -> UUID | None:
    try:
        return ids.read("con", text) or UUID(text)
    except ValueError:
        return None


admin.site.unregister(Group)
admin.site.unregister(get_user_model())


@admin.register(get_user_model())
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]  # Django cannot subscript it
    """People who may sign in. What they see follows from their memberships; only superusers come here."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
