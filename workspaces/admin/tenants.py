"""Workspaces with their members, and the people of the installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core import ids
from core.admin import TenantAdmin, TenantInline
from core.admin_images import shown_image
from workspaces import audit, tokens
from workspaces.admin.history import HistoryPages
from workspaces.branding_form import WorkspaceForm
from workspaces.changes import Source
from workspaces.forms import MemberForm
from workspaces.models import Membership, MembershipHistory, Workspace, WorkspaceHistory
from workspaces.services import let_in, record_change, record_member


class MemberInline(TenantInline):
    """Who belongs to a workspace. Owners decide."""

    model = Membership
    form = MemberForm
    workspace_path = "pk"
    fields = ("user", "role", "tells_by_mail")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset(request)
        return rows.select_related("user", "workspace")  # both stand in the row's name


@admin.register(Workspace)
class WorkspaceAdmin(HistoryPages, TenantAdmin):
    """Workspaces. The operator of the installation makes them, their owners name them and choose their members."""

    workspace_path = "pk"
    list_display = ("name", "slug", "members", "created_at")
    ordering = ("name",)  # the default one is lost when rows are counted
    search_fields = ("name", "slug")
    form = WorkspaceForm
    readonly_fields = ("created_at", "shown_logo")
    inlines = (MemberInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        rows: QuerySet[Workspace] = super().get_queryset(request)
        return rows.annotate(member_count=Count("memberships"))

    def get_readonly_fields(self, request: HttpRequest, obj: Workspace | None = None) -> tuple[str, ...]:
        """Slugs are unique across the installation, so only who sees it all can choose one."""
        return self.readonly_fields if request.user.is_superuser else ("slug", *self.readonly_fields)

    def get_fieldsets(self, request: HttpRequest, obj: Workspace | None = None) -> Any:
        """Who may only look sees no field to upload a logo."""
        upload = ("logo_upload", *(("remove_logo",) if obj and obj.logo_type else ()))
        logo = ("shown_logo", *(upload if obj is None or self.has_change_permission(request, obj) else ()))
        return [
            (None, {"fields": ("name", "slug", "created_at")}),
            ("Connect page", {"fields": ("display_name", "colour", *logo, "support_address", "privacy_url")}),
            ("Where the connect page may lead", {"fields": ("link_redirect_uris", "link_origins")}),
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            record_change("workspace.created", obj)
        elif form.changed_data:
            record_change("workspace.changed", obj, changed=sorted(form.changed_data))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for member in formset.new_objects:
            let_in(member.user)
            record_member("member.added", member.workspace_id, member.user, role=member.role)
        for member, fields in formset.changed_objects:
            record_member(
                "member.changed", member.workspace_id, member.user, role=member.role, changed=", ".join(fields)
            )
        for member in formset.deleted_objects:
            record_member("member.removed", member.workspace_id, member.user)
            tokens.revoke_person_tokens(workspace_id=member.workspace_id, person_id=member.user_id)

    def history_sources(self, row: Workspace) -> Sequence[Source]:
        # Read beside, not joined: of a person who is deleted the history stays.
        names = get_user_model()._default_manager.filter(pk=OuterRef("user_id")).values("username")
        members = MembershipHistory.objects.filter(workspace=row).annotate(username=Subquery(names))
        return [
            Source(WorkspaceHistory.objects.filter(pgh_obj=row), lambda _: "Workspace"),
            Source(members, lambda member: f"Member {member.username or '(deleted person)'}"),
        ]

    def history_search(self, row: Workspace) -> str:
        return ids.show(Workspace.PREFIX, row.pk) or ""

    @display(description="Logo")
    def shown_logo(self, workspace: Workspace) -> str:
        return shown_image(workspace.logo, workspace.logo_type)

    @display(description="Members", ordering="member_count")
    def members(self, workspace: Any) -> int:
        return int(workspace.member_count)


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

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record_person("person.created", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Also where a password was set, which has a form of its own."""
        changed = message[0].get("changed", {}) if isinstance(message, list) and message else {}
        _record_person("person.changed", obj, changed=[str(name) for name in changed.get("fields", ())])
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for person in queryset:
            _record_person("person.deleted", person)
        return super().log_deletions(request, queryset)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """In one transaction with what tells of it."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)


def _record_person(action: str, person: Any, **details: Any) -> None:
    """People belong to the installation, so the event belongs to no workspace."""
    audit.record(action, workspace_id=None, about=("person", person.get_username()), details=details)
