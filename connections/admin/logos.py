"""Logos of systems, which the operator of the installation uploads: we ship none."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from connections.models import SystemLogo
from core.admin_images import PictureField, shown_image
from integrations.registry import catalogue
from workspaces import audit


class SystemLogoForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """Which system, and its picture."""

    system = forms.ChoiceField(
        choices=lambda: [(slug, kind.title) for slug, kind in sorted(catalogue().items())],
        widget=UnfoldAdminSelectWidget(),
    )
    picture = PictureField(label="Logo")

    class Meta:
        model = SystemLogo
        fields = ()  # the admin names them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("system", None)

    def clean_system(self) -> str:
        """The slug is the key: another row's would be overwritten."""
        system: str = self.cleaned_data["system"]
        if SystemLogo.objects.filter(pk=system).exists():
            raise forms.ValidationError("There is a logo of this system already: change that one.")
        return system


@admin.register(SystemLogo)
class SystemLogoAdmin(ModelAdmin):
    """Shown on every workspace's connect page, so that the operator of the installation alone decides."""

    form = SystemLogoForm
    list_display = ("system", "shown_logo", "updated_at")
    ordering = ("system",)
    show_full_result_count = False
    readonly_fields = ("shown_logo", "updated_at")

    def get_fields(self, request: HttpRequest, obj: SystemLogo | None = None) -> tuple[str, ...]:
        return ("system", "picture") if obj is None else ("system", "shown_logo", "picture", "updated_at")

    def get_readonly_fields(self, request: HttpRequest, obj: SystemLogo | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("system", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: SystemLogo, form: Any, change: bool) -> None:
        picture = form.cleaned_data["picture"]
        obj.image, obj.image_type = picture.content, picture.media_type
        super().save_model(request, obj, form, change)
        _record("system_logo.changed" if change else "system_logo.added", obj)

    def delete_model(self, request: HttpRequest, obj: SystemLogo) -> None:
        super().delete_model(request, obj)
        _record("system_logo.removed", obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for logo in queryset:
            self.delete_model(request, logo)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    @display(description="Logo")
    def shown_logo(self, logo: SystemLogo) -> str:
        return shown_image(logo.image, logo.image_type)


def _record(action: str, logo: SystemLogo) -> None:
    """Logos belong to the installation, so the event belongs to no workspace."""
    audit.record(action, workspace_id=None, about=("system_logo", logo.system))
