"""Buttons on the page of a row: each is one POST that calls one service and tells what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from core.admin import TenantAdmin
from core.errors import LineshaftError

__all__ = ["Button", "ButtonAdmin", "NamedRow", "Question", "page", "return_address"]


@dataclass(frozen=True)
class Button:
    """`name` is part of the address and of the method that does the work, `press_<name>(request, row) -> str`.

    The text it returns is shown as success; a LineshaftError is shown as it is. With `asks`, a page made from
    `ask_<name>(request, row) -> Question` comes first.
    """

    name: str
    label: str
    icon: str
    variant: str = "default"
    asks: bool = False


@dataclass(frozen=True)
class Question:
    """What a person must know before a wide or lasting effect, in words and numbers.

    `must_type`: what they have to type, sent as `typed`, for the service's caller to compare.
    """

    title: str
    lines: Sequence[str]
    yes: str
    samples: Sequence[str] = ()
    variant: str = "danger"
    must_type: str = ""


class ButtonAdmin(TenantAdmin):
    """An admin whose rows have buttons. Who may change such rows may press them."""

    buttons: Sequence[Button] = ()

    def fitting_buttons(self, request: HttpRequest, row: Any) -> Sequence[Button]:
        """Those that make sense in the row's state."""
        return self.buttons

    def may_press(self, request: HttpRequest, row: Any) -> bool:
        """As changing the row, whatever else the row's state forbids."""
        return self._may(request, "change", row)

    def may_press_one(self, request: HttpRequest, row: Any, name: str) -> bool:
        """Whether one button may be pressed, where not all ask the same."""
        return self.may_press(request, row)

    def offered_buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons as `core/buttons.html` shows them; none for who may only look."""
        return [
            {"button": button, "address": self.press_address(row, button.name)}
            for button in self.fitting_buttons(request, row)
            if self.may_press_one(request, row, button.name)
        ]

    def row_name(self, row: Any) -> str:
        """How the row is called in the path above its pages."""
        return str(row)

    def press_address(self, row: Model, name: str) -> str:
        return reverse(f"admin:{_name_of(self.model)}_press", args=[row.pk, name])

    def page_address(self, row: Model) -> str:
        return reverse(f"admin:{_name_of(self.model)}_change", args=[row.pk])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.press_view)
        own = [path("<uuid:object_id>/press/<slug:name>/", view, name=f"{_name_of(self.model)}_press")]
        urls: list[URLPattern] = super().get_urls()
        return own + urls

    def row_or_404(self, request: HttpRequest, object_id: Any) -> Any:
        """The row if it exists for this person. Errors: Http404, PermissionDenied."""
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def press_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        button = next((button for button in self.buttons if button.name == name), None)
        if button is None:
            raise Http404
        row = self.row_or_404(request, object_id)
        if not self.may_press_one(request, row, name):
            raise PermissionDenied
        if request.method == "POST":
            self._press(request, row, button)
            return HttpResponseRedirect(return_address(request, self.page_address(row)))
        if not button.asks:
            return HttpResponseNotAllowed(["POST"])
        question = getattr(self, f"ask_{name}")(request, row)
        context = {"question": question, "back": self.page_address(row)}
        return page(self, request, "core/question.html", question.title, row, context)

    def _press(self, request: HttpRequest, row: Any, button: Button) -> None:
        try:
            told = getattr(self, f"press_{button.name}")(request, row)
        except LineshaftError as error:
            messages.error(request, error.detail)
            return
        self.log_change(request, row, f"{button.label}.")
        if told:
            messages.success(request, told)


def page(
    admin: Any, request: HttpRequest, template: str, title: str, row: Model | None, context: dict[str, Any]
) -> TemplateResponse:
    """A page of an admin outside of the forms, with the theme's frame around it."""
    request.current_app = admin.admin_site.name
    original = NamedRow(row, admin.row_name(row)) if row is not None else None
    every = {**admin.admin_site.each_context(request), "title": title, "opts": admin.opts, "original": original}
    every |= context
    return TemplateResponse(request, template, every)


class NamedRow:
    """Stands for a row in the path above a page, by a name that people know it by."""

    def __init__(self, row: Model, name: str) -> None:
        self.pk, self._meta, self._name = row.pk, row._meta, name

    def __str__(self) -> str:
        return self._name


def return_address(request: HttpRequest, otherwise: str) -> str:
    """Where the button stood, if that is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    fits = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if fits else otherwise


def _name_of(model: type[Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"
