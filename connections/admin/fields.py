"""Form fields for what connectors declare and connections hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin_texts import pretty
from core.errors import ValidationFailedError
from core.json import loads_strict
from integrations.sdk.declarations import ConfigField

__all__ = ["JsonObjectField", "PemField", "SecretPemWidget", "secret_field", "setting_field"]

MAX_PEM = 200_000


class SecretPemWidget(UnfoldAdminTextareaWidget):
    """A text area that never shows what it got."""

    def format_value(self, value: Any) -> str | None:
        return None


class PemField(forms.CharField):
    """Certificates or a key as pasted, with the line ends of the file they came from."""

    def __init__(self, *, secret: bool = False, **options: Any) -> None:
        kind = SecretPemWidget if secret else UnfoldAdminTextareaWidget
        attrs = {"rows": 4, "class": "lsh-code", "spellcheck": "false", "autocomplete": "off"}
        super().__init__(required=False, max_length=MAX_PEM, widget=kind(attrs=attrs), **options)

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n").strip()

    def has_changed(self, initial: Any, data: Any) -> bool:
        """A browser changes line ends; that alone is no change, which would demand every secret again."""
        return self.to_python(initial) != self.to_python(data)


class JsonObjectField(forms.Field):
    """A JSON object, read as strictly as the API reads it."""

    def __init__(self, **options: Any) -> None:
        attrs = {"rows": 4, "class": "lsh-code", "spellcheck": "false"}
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs=attrs), **options)

    def prepare_value(self, value: Any) -> Any:
        return pretty(value) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = str(value or "").strip() or "{}"
        try:
            read = loads_strict(text.encode())
        except ValidationFailedError as error:
            raise forms.ValidationError(error.detail) from error
        if not isinstance(read, dict):
            raise forms.ValidationError('It must be a JSON object, e.g. {"plant": "north"}.')
        return read

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial or "") != self.to_python(data))
        except forms.ValidationError:
            return True


def setting_field(setting: ConfigField) -> forms.Field:
    """The form field of a setting that is no secret."""
    common: dict[str, Any] = {
        "label": setting.title,
        "help_text": setting.help,
        "required": setting.required and setting.default is None,
    }
    return _KINDS[setting.kind](setting, common)


def secret_field(setting: ConfigField, *, stored: bool) -> forms.CharField:
    """A password input: what is stored is never shown, and stays when nothing is entered."""
    hint = "Stored. Leave it empty to keep it." if stored else ""
    attrs = {"autocomplete": "new-password", "placeholder": "•••••••• stored" if stored else ""}
    return forms.CharField(
        label=setting.title,
        help_text=" ".join(part for part in (_sentence(setting.help), hint) if part),
        required=setting.required and not stored,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs=attrs),
    )


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


def _line(setting: ConfigField, common: dict[str, Any]) -> forms.Field:
    attrs = {"inputmode": "url", "spellcheck": "false"} if setting.kind == "url" else {}
    return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs=attrs), **common)


def _integer(setting: ConfigField, common: dict[str, Any]) -> forms.Field:
    return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget(), **common)


def _boolean(setting: ConfigField, common: dict[str, Any]) -> forms.Field:
    return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **{**common, "required": False})


def _choice(setting: ConfigField, common: dict[str, Any]) -> forms.Field:
    empty = [("", "—")] if not setting.required and setting.default is None else []
    return forms.ChoiceField(choices=[*empty, *setting.choices], widget=UnfoldAdminSelectWidget(), **common)


_KINDS: dict[str, Callable[[ConfigField, dict[str, Any]], forms.Field]] = {
    "text": _line,
    "url": _line,
    "integer": _integer,
    "boolean": _boolean,
    "choice": _choice,
}
