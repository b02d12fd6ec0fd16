"""Pictures on admin screens: uploaded into a row, and shown from it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminImageSmallFieldWidget

from core.errors import ValidationFailedError
from core.images import image_type


@dataclass(frozen=True)
class Picture:
    """What was uploaded, with the media type that its first bytes tell."""

    content: bytes
    media_type: str


class PictureField(forms.FileField):
    """An uploaded PNG, JPEG or WebP; its cleaned value is a Picture, or None when nothing was chosen."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminImageSmallFieldWidget(attrs={"accept": "image/png,image/jpeg,image/webp"})
        super().__init__(widget=widget, help_text="PNG, JPEG or WebP of at most 200 kB.", **options)

    def clean(self, data: Any, initial: Any = None) -> Picture | None:
        upload = super().clean(data, initial)
        if not upload:
            return None
        content = upload.read()
        try:
            return Picture(content, image_type(content))
        except ValidationFailedError as error:
            raise ValidationError(error.detail) from error


def shown_image(content: bytes | memoryview | None, media_type: str) -> str:
    """The picture within the page, or a word where there is none."""
    if not content or not media_type:
        return "None"
    address = f"data:{media_type};base64,{b64encode(bytes(content)).decode()}"
    return format_html('<img class="lsh-logo" src="{}" alt="The logo" height="48">', address)
