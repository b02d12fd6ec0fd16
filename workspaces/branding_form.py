"""How a workspace's connect page looks, and where it may lead: the form of its owners."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from unfold.widgets import (
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin_images import PictureField
from workspaces.models import Workspace

MAX_ADDRESSES, MAX_REDIRECT, MAX_ORIGIN = 50, 500, 200
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_UNFIT = re.compile(r"[^\x21-\x7e]|\\")


def fault_of_redirect(address: str) -> str:
    """What is wrong with an address that the connect page shall return to; empty when nothing is."""
    parts = _parts(address)
    if parts is None or len(address) > MAX_REDIRECT:
        return (
            f"it must be one address of at most {MAX_REDIRECT} plain characters, e.g. https://app.example.com/linked."
        )
    if parts.fragment or address.endswith("#"):
        return "leave out what follows #: the code would not reach your server."
    return _fault_of_host(parts)


def fault_of_origin(address: str) -> str:
    """What is wrong with an origin as browsers write it; empty when nothing is."""
    parts = _parts(address)
    if parts is None or len(address) > MAX_ORIGIN:
        return "it must be an origin, e.g. https://app.example.com."
    if fault := _fault_of_host(parts):
        return fault
    default = {"https": 443, "http": 80}[parts.scheme]
    plain = f"{parts.scheme}://{parts.netloc.lower()}"
    if address != plain or parts.port == default:
        return "write scheme, host and port alone, in small letters, without a slash: e.g. https://app.example.com."
    return ""


def _fault_of_page(address: str) -> str:
    parts = _parts(address)
    return "" if parts is not None and parts.scheme == "https" else "It must be an https address."


def _fault_of_host(parts: SplitResult) -> str:
    if parts.username is not None or parts.password is not None:
        return "leave out user name and password."
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return "it must begin with https:// (http:// is for this machine alone)."
    return ""


def _parts(address: str) -> SplitResult | None:
    """The address taken apart; None for what browsers and servers could read differently."""
    if _UNFIT.search(address):
        return None
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if fits else None


class AddressesField(forms.CharField):
    """One address a line; the value is a list. `fault_of` says what is wrong with one, or nothing."""

    def __init__(self, fault_of: Callable[[str], str], **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **options)
        self.fault_of = fault_of

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]  # a list, not a text
        lines = str(super().to_python(value)).splitlines()
        return list(dict.fromkeys(line.strip() for line in lines if line.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)

    def validate(self, value: Any) -> None:
        if len(value) > MAX_ADDRESSES:
            raise ValidationError(f"At most {MAX_ADDRESSES} addresses are kept.")
        faults = [f"{address[:80]}: {fault}" for address in value if (fault := self.fault_of(address))]
        if faults:
            raise ValidationError(faults)


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """A workspace with its face."""

    colour = forms.CharField(
        required=False,
        max_length=7,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "#0f766e", "spellcheck": "false"}),
        help_text="Of buttons, as #rrggbb, e.g. #1d4ed8; text on it becomes black or white, whichever reads better.",
    )
    privacy_url = forms.URLField(
        label="Privacy notice",
        required=False,
        max_length=300,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://", "spellcheck": "false"}),
        help_text="The https address of your privacy notice, linked on the page.",
    )
    logo_upload = PictureField(label="New logo", required=False)
    remove_logo = forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget())

    link_redirect_uris = AddressesField(
        fault_of_redirect,
        label="Link redirect uris",
        help_text="Addresses of yours that the connect page may return to, one a line, each exactly as sent with a link"
        " session, e.g. https://app.example.com/linked.",
    )
    link_origins = AddressesField(
        fault_of_origin,
        label="Link origins",
        help_text="Origins of your pages that may open the connect page as a popup, one a line, e.g."
        " https://app.example.com.",
    )

    class Meta:
        model = Workspace
        fields = ()  # the admin names them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.logo_type:
            self.fields.pop("remove_logo", None)

    def clean_colour(self) -> str:
        colour = str(self.cleaned_data["colour"]).strip().lower()
        if colour and not _COLOUR.fullmatch(colour):
            raise ValidationError("Write the colour as # and six digits, e.g. #1d4ed8.")
        return colour

    def clean_support_address(self) -> str:
        address = str(self.cleaned_data["support_address"]).strip()
        if address.startswith("https://"):
            if fault := _fault_of_page(address):
                raise ValidationError(fault)
        elif address:
            validate_email(address)
        return address

    def clean_privacy_url(self) -> str:
        address = str(self.cleaned_data["privacy_url"] or "")
        if address and (fault := _fault_of_page(address)):
            raise ValidationError(fault)
        return address

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        picture = data.get("logo_upload")
        if picture:
            self.instance.logo, self.instance.logo_type = picture.content, picture.media_type
        elif data.get("remove_logo"):
            self.instance.logo, self.instance.logo_type = None, ""
        return data
