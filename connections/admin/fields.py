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

__all__ = [
    "JsonObjectField",
    "LinesField",
    "PemField",
    "SecretPemWidget",
    "reference_field",
    "secret_field",
    "setting_field",
]

MAX_PEM = 200_000


class SecretPemWidget(UnfoldAdminTextareaWidget):
    """A text area that never shows what it got."""

    def format_value(self, value: Any) -> str | None:
        return None


class SecretWidget(UnfoldAdminPasswordWidget):
    """A password input that the browser lets be empty: a reference may stand for it. The form says if it may not."""

    def use_required_attribute(self, initial: Any) -> bool:
        return False


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


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:
        attrs = {"rows": 3, "class": "lsh-code", "spellcheck": "false"}
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs=attrs), **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, list) else str(value or "").split()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial or "") != self.to_python(data))


def setting_field(setting: ConfigField) -> forms.Field:
    """The form field of a setting that is no secret."""
    common: dict[str, Any] = {
        "label": setting.title,
        "help_text": setting.help,
        "required": setting.required and setting.default is None,
    }
    return _KINDS[setting.kind](setting, common)


def secret_field(setting: ConfigField, *, stored: bool, kept_at: str = "") -> forms.CharField:
    """A password input: what is stored is never shown, and stays when nothing is entered. `kept_at`: its reference."""
    hint = "Stored. Leave it empty to keep it." if stored else ""
    if kept_at:
        hint = f"Read from {kept_at}. Leave it empty to keep that."
    placeholder = "•••••••• stored" if stored and not kept_at else kept_at
    return forms.CharField(
        label=setting.title,
        help_text=" ".join(part for part in (_sentence(setting.help), hint) if part),
        required=setting.required and not stored,
        strip=False,
        widget=SecretWidget(attrs={"autocomplete": "new-password", "placeholder": placeholder}),
    )


def reference_field(setting: ConfigField) -> forms.CharField:
    """Where a secrets manager keeps the secret, in place of the secret itself."""
    attrs = {"spellcheck": "false", "autocomplete": "off", "placeholder": "vault:kv/acme/erp#password"}
    return forms.CharField(
        label=f"{setting.title}: where it is kept",
        help_text="Instead of the secret itself: vault:mount/path#field, aws-sm:name#key, azure-kv:vault/name or"
        " env:LINESHAFT_REF_NAME, under one of the workspace's secret prefixes.",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs=attrs),
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
