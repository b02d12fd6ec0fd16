"""Data keys and the ring, for the operator of the installation."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.views import ChangeList

from core.admin import ReadOnlyAdmin, TenantAdmin
from core.errors import LineshaftError
from workspaces.key_report import ring_use, secrets_by_data_key, wrapped_by
from workspaces.models import DataKey


class DataKeyList(ChangeList):
    """Counts the secrets of the keys that one page shows, once for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counts = secrets_by_data_key(self.result_list)
        for key in self.result_list:
            key.secrets_counted = counts.get(key.pk, 0)


@admin.register(DataKey)
class DataKeyAdmin(ReadOnlyAdmin, TenantAdmin):
    """What encrypts the secrets of each workspace. Keys themselves are never shown; commands replace them."""

    list_display = ("workspace", "is_current", "shown_ring_key", "shown_secrets", "created_at", "wrapped_at")
    list_filter = ("is_current", "workspace")
    list_select_related = ("workspace",)
    list_per_page = 50
    list_before_template = "workspaces/key_ring.html"
    fields = ("id", *list_display)
    readonly_fields = fields
    ordering = ("-created_at",)
    sortable_by = ("created_at", "wrapped_at")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DataKeyList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Encryption keys", **self._ring(request), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def _ring(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            return {}
        try:
            return {"ring": ring_use()}
        except LineshaftError as error:
            return {"ring_problem": error.detail}

    @display(description="Wrapped by")
    def shown_ring_key(self, key: DataKey) -> str:
        return wrapped_by(key)

    @display(description="Secrets")
    def shown_secrets(self, key: DataKey) -> int:
        counted: int | None = getattr(key, "secrets_counted", None)
        return secrets_by_data_key([key]).get(key.pk, 0) if counted is None else counted
