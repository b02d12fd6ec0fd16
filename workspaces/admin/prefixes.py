"""Where secrets referred to by workspaces may stand: set by the operator of the installation, seen by members."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from core.admin import TenantAdmin
from core.errors import ValidationFailedError
from core.secret_stores.references import check_prefix
from workspaces import audit
from workspaces.models import SecretPrefix


class PrefixForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """A prefix, judged before it is stored."""

    prefix = forms.CharField(  # type: ignore[assignment]  # the metaclass takes fields out of the class
        strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false"}),
        help_text="What ends with / (env: with _) allows all that begins with it, such as vault:kv/acme/,"
        " aws-sm:prod/acme/, azure-kv:acme-vault/ or env:LINESHAFT_REF_ACME_; another one that secret alone.",
    )

    class Meta:
        model = SecretPrefix
        fields = ()  # the admin names them: workspaces can be listed within a request's scope only

    def clean_prefix(self) -> str:
        prefix: str = self.cleaned_data["prefix"]
        try:
            check_prefix(prefix)
        except ValidationFailedError as error:
            raise forms.ValidationError(error.detail) from error
        return prefix


@admin.register(SecretPrefix)
class SecretPrefixAdmin(TenantAdmin):
    """Prefixes are added and deleted, not changed, so that each stands in the audit log as it was."""

    list_display = ("prefix", "workspace", "created_at", "created_by")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    list_per_page = 50
    search_fields = ("prefix",)
    ordering = ("workspace", "prefix")
    form = PrefixForm
    fields = ("workspace", "prefix", "created_at", "created_by")
    readonly_fields = ("created_at", "created_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def save_model(self, request: HttpRequest, obj: SecretPrefix, form: Any, change: bool) -> None:
        obj.created_by = str(request.user)[:160]
        super().save_model(request, obj, form, change)
        _record("secret_prefix.added", obj)

    def delete_model(self, request: HttpRequest, obj: SecretPrefix) -> None:
        _record("secret_prefix.removed", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


def _record(action: str, row: SecretPrefix) -> None:
    about = ("secret_prefix", str(row.pk))
    audit.record(action, workspace_id=row.workspace_id, about=about, details={"prefix": row.prefix})
