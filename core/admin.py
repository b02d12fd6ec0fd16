"""What the admin screens of all rooms have in common: whose rows one sees, and what one may do with them.

The scope entered by middleware decides which rows exist for a person. What they may do is asked as a Django permission in
the row's workspace, which a backend answers by the person's role there; a superuser may do all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.db.models import ForeignKey, Model
from django.forms import ModelChoiceField
from django.http import Http404, HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

__all__ = ["HistoryAdmin", "ReadOnlyAdmin", "TenantAdmin", "TenantInline", "badge", "may", "roles_of", "where_allowed"]


def may(request: HttpRequest, permission: str, workspace_id: UUID | None) -> bool:
    """Whether the person has a permission such as "syncs.change_sync" in a workspace; with None, in any at all."""
    user: Any = request.user
    return bool(user.has_perm(permission, workspace_id))


def roles_of(request: HttpRequest) -> Mapping[UUID, str]:
    """The person's role by workspace; empty for who belongs nowhere."""
    roles: Mapping[UUID, str] = getattr(request, "workspace_roles", {})
    return roles


def where_allowed(request: HttpRequest, permission: str) -> list[UUID]:
    """The workspaces in which the person has a permission; a superuser, who has it everywhere, belongs to none."""
    return [workspace_id for workspace_id in roles_of(request) if may(request, permission, workspace_id)]


class TenantRules:
    """Permissions by role, as the authentication backend gives them in the row's workspace.

    `workspace_path` leads from a row to its workspace's id, e.g. "run__workspace_id".
    """

    workspace_path: str = "workspace_id"
    opts: Any

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)

    def _may(self, request: HttpRequest, action: str, obj: Any) -> bool:
        permission = f"{self.opts.app_label}.{action}_{self.opts.model_name}"
        return may(request, permission, self.workspace_id_of(obj))

    def workspace_id_of(self, obj: Any) -> UUID | None:
        """None where no row is meant (lists), which the theme's actions say with the mere id of a row."""
        if not isinstance(obj, Model):
            return None
        value: Any = obj
        for name in self.workspace_path.split("__"):
            value = getattr(value, name)
        found: UUID | None = value
        return found


class TenantAdmin(TenantRules, ModelAdmin):
    """An admin of rows that belong to workspaces: foreign rows are not there, whatever the address says."""

    compressed_fields = True
    warn_unsaved_form = True
    list_filter_submit = False
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count the whole list once for each choice of each filter

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Django would lead to the home page with a message, as if nothing were wrong."""
        raise Http404

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Rows go into workspaces only where the person may write. Other choices are limited by the scope."""
        if db_field.name == "workspace" and not getattr(request.user, "is_superuser", False):
            mine = [workspace_id for workspace_id in roles_of(request) if self._may_add_to(request, workspace_id)]
            kwargs["queryset"] = db_field.related_model._default_manager.filter(pk__in=mine)
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field

    def _may_add_to(self, request: HttpRequest, workspace_id: UUID) -> bool:
        return may(request, f"{self.opts.app_label}.add_{self.opts.model_name}", workspace_id)


class TenantInline(TenantRules, TabularInline):
    """Rows below a row of a workspace; `workspace_path` begins at the row above."""

    extra = 0


class ReadOnlyAdmin:
    """For what the platform writes and nobody edits. Stands before TenantAdmin among the bases."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class HistoryAdmin(ReadOnlyAdmin):
    """For long histories: pages without ever counting the rows."""

    paginator = InfinitePaginator
    list_per_page = 50


def badge(
    field: str | Callable[[Any], Any],
    colours: Mapping[Any, str],
    labels: Mapping[Any, str] | None = None,
    *,
    description: str = "Status",
    ordering: str | None = None,
) -> Callable[[Any, Any], str]:
    """A coloured column for a status: `status_badge = badge("status", RUN_BADGES, dict(RunStatus.choices))`.

    `field` is an attribute of the row or a function of it, `colours` the badge by value: info, success, warning,
    danger or "". The column's name must differ from the field's, since Django would show the bare field.
    """
    texts = {str(value): str(text) for value, text in (labels or {}).items()}

    def text_of(value: Any) -> str:
        return texts.get(str(value)) or str(value).replace("_", " ").capitalize()

    # By text: the page of one row shows what the column gives as it is.
    @display(description=description, ordering=ordering, label={text_of(value): colours[value] for value in colours})
    def show(_admin: Any, row: Any) -> str:
        return text_of(field(row) if callable(field) else getattr(row, field))

    shown: Callable[[Any, Any], str] = show
    return shown
