"""Forms of the steps. The services judge the values; what they refuse is put beside the field it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django import forms

from connections.services.linking import FieldChoices
from console.link.sharing import NOTHING, Share
from core.errors import LineshaftError
from integrations.sdk.declarations import ConfigField

# Nothing here is a person's own name, address or password that a browser should offer or correct.
_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class StepForm(forms.Form):
    """`novalidate` forms: each fault is told by us, at its field and in the summary above."""

    use_required_attribute = False

    def __init__(self, data: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(data, auto_id="field-%s", label_suffix="", **options)

    def refuse(self, error: LineshaftError) -> None:
        """Show what a service refused: /config/base_url at the field `base_url`, what fits nowhere above all."""
        self.is_valid()
        for fault in error.errors:
            name = fault.pointer.rsplit("/", 1)[-1]
            self.add_error(name if name in self.fields else None, fault.detail)
        if not error.errors:
            self.add_error(None, error.detail)


class SignInForm(StepForm):
    """What a connector declares that it needs. Secrets are never drawn back into the page."""

    def __init__(
        self, declared: Sequence[ConfigField], values: Mapping[str, Any], data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data)
        self.declared = declared
        for field in declared:
            self.fields[field.name] = _FIELDS.get(field.kind, _text)(field)
            if not field.secret:
                self.initial[field.name] = values.get(field.name, field.default)

    def rows(self) -> list[dict[str, Any]]:
        """The fields as they are drawn, each with its kind and whether it may stay empty."""
        return [
            {"field": self[field.name], "kind": field.kind, "optional": _is_optional(field)} for field in self.declared
        ]

    def values(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and secrets as the services take them; what was left empty is left out."""
        self.is_valid()
        config: dict[str, Any] = {}
        secrets: dict[str, str] = {}
        for field in self.declared:
            value = self.cleaned_data.get(field.name)
            if field.secret:
                if value:
                    secrets[field.name] = value
            elif value not in ("", None):
                config[field.name] = _number(value) if field.kind == "integer" else value
        return config, secrets


class PlacesForm(StepForm):
    """What the system offered: which company, site or database."""

    def __init__(
        self, offered: Sequence[FieldChoices], values: Mapping[str, Any], data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data)
        self.offered = offered
        for choice in offered:
            options = [(str(value), label) for value, label in choice.options]
            if not choice.required:
                options.insert(0, ("", AS_IT_IS))
            self.fields[choice.name] = forms.ChoiceField(
                label=choice.label,
                required=choice.required,
                help_text=choice.help,
                choices=options,
                widget=forms.RadioSelect if len(options) <= MOST_RADIOS else forms.Select,
                error_messages={
                    "required": f"Choose one: {choice.label}.",
                    "invalid_choice": "Choose one of the list.",
                },
            )
            held = str(values.get(choice.name, ""))
            self.initial[choice.name] = held if held in dict(options) else options[0][0] if options else ""

    def values(self) -> dict[str, Any]:
        """The values as the system offered them, not as texts."""
        offered = {(choice.name, str(value)): value for choice in self.offered for value, _ in choice.options}
        return {name: offered[name, text] if text else None for name, text in self.cleaned_data.items()}


AS_IT_IS = "As the account is set"
MOST_RADIOS = 8
"""More choices than these are a list to open."""


class ShareForm(StepForm):
    """What the customer shares: nothing, reading or writing of each entity; raw calls as a line of their own, off
    unless `held`: a renewed connection lets them through now."""

    def __init__(
        self,
        shares: Sequence[Share],
        *,
        passthrough: bool,
        held: bool = False,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        self.shares = shares
        for share in shares:
            self.fields[share.entity] = forms.ChoiceField(
                label=share.label,
                help_text=share.note,
                choices=share.options,
                widget=forms.RadioSelect,
                error_messages={"required": "Choose one.", "invalid_choice": "This was not asked for: choose another."},
            )
            self.initial[share.entity] = share.preset
        self.entities = [self[share.entity] for share in shares]
        if passthrough:
            self.fields["passthrough"] = forms.BooleanField(required=False, label="Raw calls", initial=held)

    def values(self) -> dict[str, str]:
        """Entity -> read or read_write; what is not shared is left out."""
        chosen = {share.entity: self.cleaned_data.get(share.entity, NOTHING) for share in self.shares}
        return {entity: access for entity, access in chosen.items() if access != NOTHING}

    @property
    def passthrough(self) -> bool:
        return bool(self.cleaned_data.get("passthrough", False))


def _text(field: ConfigField) -> forms.Field:
    return forms.CharField(**_told(field), widget=forms.TextInput(attrs=_PLAIN | _demand(field)))


def _url(field: ConfigField) -> forms.Field:
    # As text: a browser's own idea of an address must not stop what the services would explain better.
    attrs = {**_PLAIN, **_demand(field), "inputmode": "url", "placeholder": "https://"}
    return forms.CharField(**_told(field), widget=forms.TextInput(attrs=attrs))


def _secret(field: ConfigField) -> forms.Field:
    widget = forms.PasswordInput(attrs=_PLAIN | _demand(field), render_value=False)
    return forms.CharField(**_told(field), strip=False, widget=widget)


def _integer(field: ConfigField) -> forms.Field:
    attrs = {**_PLAIN, **_demand(field), "inputmode": "numeric"}
    return forms.CharField(**_told(field), widget=forms.TextInput(attrs=attrs))


def _boolean(field: ConfigField) -> forms.Field:
    return forms.BooleanField(**_told(field))


def _choice(field: ConfigField) -> forms.Field:
    choices = list(field.choices) if field.required else [("", "—"), *field.choices]
    return forms.ChoiceField(**_told(field), choices=choices, widget=forms.Select(attrs=_demand(field)))


def _told(field: ConfigField) -> dict[str, Any]:
    """Nothing is required here: the services say what is missing, all at once."""
    return {"label": field.title, "help_text": _sentence(field.help), "required": False}


def _is_optional(field: ConfigField) -> bool:
    return not field.required


def _demand(field: ConfigField) -> dict[str, str]:
    return {} if _is_optional(field) else {"aria-required": "true"}


def _sentence(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".?!:" else text


def _number(text: str) -> int | str:
    """A text that is no number stays one, which the services refuse with the field's name."""
    try:
        return int(str(text).strip())
    except ValueError:
        return text


_FIELDS: dict[str, Callable[[ConfigField], forms.Field]] = {
    "url": _url,
    "secret": _secret,
    "integer": _integer,
    "boolean": _boolean,
    "choice": _choice,
}
