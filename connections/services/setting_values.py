"""What people may enter for a connection, judged before anything is stored; each fault has a pointer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from core.errors import ConfigError, FieldError, ValidationFailedError
from core.http.urls import parse_proxy, parse_target
from core.json import dumps, pointer
from core.secret_stores.references import Reference, parse
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import ConfigField
from workspaces.choices import Environment

MAX_SETTING, MAX_SECRET, MAX_METADATA, MAX_PAGE_SIZE = 2000, 20_000, 16_384, 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_values(errors: list[FieldError]) -> None:
    """Raise ValidationFailedError naming all of `errors`, if there are any."""
    if errors:
        names = ", ".join(error.pointer for error in errors[:10])
        detail = f"{errors[0].pointer}: {errors[0].detail}" if len(errors) == 1 else f"Wrong values: {names}."
        raise ValidationFailedError(detail, errors=tuple(errors))


def clean_config(kind: type[Connector], config: Mapping[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    """The settings as stored: known names only, empty ones left out. Faults are added to `errors`."""
    fields = {field.name: field for field in kind.config if not field.secret}
    secret = {field.name for field in kind.config if field.secret}
    for name in config:
        if name not in fields:
            hint = "This is a secret: send it in `secrets`." if name in secret else _known(kind, fields)
            errors.append(FieldError(pointer("config", name[:100]), "UNKNOWN_SETTING", hint))
    cleaned = {}
    for name, field in fields.items():
        value = config.get(name)
        if value is None or value == "":
            if field.required and field.default is None:
                errors.append(FieldError(pointer("config", name), "REQUIRED", f"{field.title} is required."))
            continue
        if fault := _fault_of(field, value):
            errors.append(FieldError(pointer("config", name), "INVALID", fault))
        else:
            cleaned[name] = value.strip() if isinstance(value, str) else value
    return cleaned


def clean_secrets(
    kind: type[Connector], secrets: Mapping[str, Any], errors: list[FieldError], *, stored: frozenset[str] = frozenset()
) -> dict[str, str | None]:
    """Secrets to store, or to delete (None). A required one must be there afterwards. Faults are added to `errors`.

    Texts only: this is for what customers enter, who know nothing of the operator's secrets managers.
    """
    return {
        name: value
        for name, value in _clean_secrets(kind, secrets, errors, stored, takes_references=False).items()
        if not isinstance(value, Reference)
    }


def clean_secrets_or_references(
    kind: type[Connector], secrets: Mapping[str, Any], errors: list[FieldError], *, stored: frozenset[str] = frozenset()
) -> dict[str, str | Reference | None]:
    """The same, where `{"ref": "vault:kv/acme/erp#password"}` may stand for a text. Whether the workspace may refer to
    that place is judged when it is stored.
    """
    return _clean_secrets(kind, secrets, errors, stored, takes_references=True)


def _clean_secrets(
    kind: type[Connector],
    secrets: Mapping[str, Any],
    errors: list[FieldError],
    stored: frozenset[str],
    *,
    takes_references: bool,
) -> dict[str, str | Reference | None]:
    fields = {field.name: field for field in kind.config if field.secret}
    for name in secrets:
        if name not in fields:
            errors.append(FieldError(pointer("secrets", name[:100]), "UNKNOWN_SECRET", _known(kind, fields)))
    cleaned: dict[str, str | Reference | None] = {}
    for name, field in fields.items():
        given, value = name in secrets, secrets.get(name)
        if isinstance(value, Mapping) and takes_references:
            value = _reference(name, value, errors)
            if value is None:
                continue
        if fault := _fault_of_secret(field, value, missing=given or name not in stored):
            errors.append(FieldError(pointer("secrets", name), *fault))
        elif given:
            cleaned[name] = value or None
    return cleaned


def _reference(name: str, value: Mapping[str, Any], errors: list[FieldError]) -> Reference | None:
    """What `{"ref": ...}` says, or None after adding the fault."""
    text = value.get("ref")
    if set(value) != {"ref"} or not isinstance(text, str):
        hint = 'Send a text, or {"ref": "vault:mount/path#field"} for a secret that a secrets manager keeps.'
        errors.append(FieldError(pointer("secrets", name), "WRONG_TYPE", hint))
        return None
    try:
        return parse(text)
    except ValidationFailedError as error:
        errors.append(FieldError(pointer("secrets", name), error.code, error.detail))
        return None


def _fault_of_secret(field: ConfigField, value: Any, *, missing: bool) -> tuple[str, str] | None:
    """Code and detail of what is wrong; `missing`: without this value there is none."""
    if not (value is None or isinstance(value, str | Reference)):
        return "WRONG_TYPE", f"{field.title} must be a text."
    if isinstance(value, str) and (len(value) > MAX_SECRET or "\x00" in value):
        return "INVALID", f"{field.title} is too long or no text."
    if field.required and not value and missing:
        return "REQUIRED", f"{field.title} is required."
    return None


def faults_of_columns(values: Mapping[str, Any]) -> Iterator[FieldError]:
    """Faults of everything that is no setting of the system: name, zone, proxy and so on."""
    for name, value in values.items():
        if fault := _COLUMNS[name](value):
            yield FieldError(pointer(name), "INVALID", fault)


def _fault_of(field: ConfigField, value: Any) -> str | None:
    """What is wrong with the value of one setting, None when nothing is."""
    if field.kind == "integer":
        fits = isinstance(value, int) and not isinstance(value, bool)
        return None if fits else f"{field.title} must be a whole number."
    if field.kind == "boolean":
        return None if isinstance(value, bool) else f"{field.title} must be true or false."
    if field.kind == "choice":
        known = [choice for choice, _ in field.choices]
        return None if value in known else f"{field.title} must be one of {', '.join(known)}."
    if not isinstance(value, str):
        return f"{field.title} must be a text."
    if len(value) > MAX_SETTING or _CONTROL.search(value):
        return f"{field.title} must be one line of at most {MAX_SETTING} characters."
    return _fault_of_url(value.strip()) if field.kind == "url" else None


def _fault_of_url(value: str) -> str | None:
    try:
        parse_target(value)
    except ConfigError as error:
        return error.detail
    parts = urlsplit(value)
    return "Leave out what follows ? or #." if parts.query or parts.fragment else None


def _known(kind: type[Connector], fields: Mapping[str, ConfigField]) -> str:
    return f"{kind.title} has {', '.join(fields) or 'none'} here."


def _line(value: Any, *, low: int, high: int) -> str | None:
    fits = isinstance(value, str) and low <= len(value.strip()) and len(value) <= high and not _CONTROL.search(value)
    return None if fits else f"Must be one line of {low or 'at most'}{' to' if low else ''} {high} characters."


def _metadata(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "Metadata must be a JSON object."
    return (
        None if len(dumps(value)) <= MAX_METADATA else f"Metadata may have at most {MAX_METADATA} characters of JSON."
    )


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(value: Any) -> str | None:
    fits = isinstance(value, str) and value in _zones()
    return None if fits else "Must be an IANA time zone, e.g. Europe/Berlin."


def _proxy(value: Any) -> str | None:
    if value == "":
        return None
    if not isinstance(value, str) or len(value) > 300:
        return "Must be an address such as http://proxy.example:3128."
    try:
        proxy = parse_proxy(value)
    except ConfigError as error:
        return error.detail
    return "The proxy's address may hold no user name or password." if proxy.authorization else None


def _page_size(value: Any) -> str | None:
    fits = value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_PAGE_SIZE)
    return None if fits else f"Must be a whole number from 1 to {MAX_PAGE_SIZE}, or null for the usual."


def _environment(value: Any) -> str | None:
    return None if value in Environment.values else f"Must be one of {', '.join(Environment.values)}."


_COLUMNS: dict[str, Callable[[Any], str | None]] = {
    "name": lambda value: _line(value, low=1, high=120),
    "customer_reference": lambda value: _line(value, low=0, high=120),
    "environment": _environment,
    "metadata": _metadata,
    "time_zone": _zone,
    "proxy": _proxy,
    "page_size": _page_size,
}
