"""Settings that are chosen from what the system offers, once signed in: which company, site or database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connections.services.linking.outcomes import FieldChoices
from connections.services.trying import Trial, fit, understood
from core.errors import FieldError, LineshaftError
from core.json import pointer
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import ConfigField

MAX_CHOICES, MAX_VALUE, MAX_LABEL = 1000, 2000, 200


def lenient(kind: type[Connector]) -> type[Connector]:
    """The connector, to which a required setting that is chosen after the sign-in is not missing before it."""
    config = tuple(replace(field, required=False) if field.choices_from else field for field in kind.config)
    return kind if config == kind.config else type(kind.__name__, (kind,), {"config": config})


def offered(connector: Connector, trial: Trial) -> list[FieldChoices]:
    """What the system lets choose. One that cannot tell is no reason to stop, unless the setting is needed."""
    found = []
    for field in connector.config:
        if not field.choices_from:
            continue
        try:
            with understood(connector):
                told = getattr(connector, field.choices_from)()
                options = list(filter(None, (_option(field, value, label) for value, label in told)))
        except LineshaftError as error:
            if field.required:
                trial.failed(f"choices_of_{field.name}", error)
            continue
        if len(options) > 1 or (options and field.required):
            found.append(FieldChoices(field.name, field.title, field.help, options[:MAX_CHOICES], field.required))
    return found


def _option(field: ConfigField, value: Any, label: Any) -> tuple[Any, str] | None:
    """One that can be stored and shown; what a system sends may be anything."""
    if field.kind == "integer":
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    else:
        value = str(value)
        fits = value == fit(value, MAX_VALUE)
    return (value, fit(str(label), MAX_LABEL)) if fits else None


def chosen_value(kind: type[Connector], choice: FieldChoices, given: Any, errors: list[FieldError]) -> dict[str, Any]:
    """The offered value that was meant; pages send texts."""
    required = any(field.name == choice.name and field.required for field in kind.config)
    if given in (None, "") and not required:
        return {choice.name: None}
    meant = [value for value, _ in choice.options if str(value) == str(given)]
    if not meant:
        errors.append(FieldError(pointer("config", choice.name), "INVALID", f"Choose {choice.label} from the list."))
        return {}
    return {choice.name: meant[0]}
