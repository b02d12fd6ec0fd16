"""What the admin screens of all rooms have in common: whose rows one sees, and what one may do with them.

The scope entered by middleware decides which rows exist for a person. What they may do follows from
`request.workspace_roles`, the person's role by workspace id, which the same middleware sets. Django's own model
permissions play no part; a superuser may do all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.db.models import ForeignKey, Model
from django.forms import ModelChoiceField
from django.http import Http404, HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

__all__ = ["HistoryAdmin", "ReadOnlyAdmin", "TenantAdmin", "TenantInline", "badge", "may_write", "roles_of"]

WRITERS = frozenset({"owner", "operator", "developer"})


def roles_of(request: HttpRequest) -> Mapping[UUID, str]:
    """The person's role by workspace; empty for who belongs nowhere."""
    roles: Mapping[UUID, str] = getattr(request, "workspace_roles", {})
    return roles


def may_write(request: HttpRequest, workspace_id: UUID | None, writers: Collection[str] = WRITERS) -> bool:
    """Whether the person may change things of a workspace; with None, of any workspace at all."""
    if getattr(request.user, "is_superuser", False):
        return True
    roles = roles_of(request)
    held = roles.values() if workspace_id is None else [roles.get(workspace_id)]
    return any(role in writers for role in held)


class TenantRules:
    """Permissions by role. `workspace_path` leads from a row to its workspace's id, e.g. "run__workspace_id".

    `writing_roles` may add, change and delete; every member may look.
    """

    workspace_path: str = "workspace_id"
    writing_roles: Collection[str] = WRITERS

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if getattr(request.user, "is_superuser", False):
            return True
        roles, workspace_id = roles_of(request), self.workspace_id_of(obj)
        return bool(roles) if workspace_id is None else workspace_id in roles

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_write(request, self.workspace_id_of(obj), self.writing_roles)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_write(request, self.workspace_id_of(obj), self.writing_roles)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_write(request, self.workspace_id_of(obj), self.writing_roles)

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
            mine = [workspace_id for workspace_id, role in roles_of(request).items() if role in self.writing_roles]
            kwargs["queryset"] = db_field.related_model._default_manager.filter(pk__in=mine)
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field


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
