"""Texts of a declaration with settings in them: "{base_url}/o/token/", {"login": "{user}"}."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any
from urllib.parse import quote

from core.errors import ConfigError


def names_in(*texts: str) -> frozenset[str]:
    """The settings named in them."""
    return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name)


def address(template: str, config: Mapping[str, Any]) -> str:
    """The address of a template. A setting at its beginning is an address itself; others are one part each, quoted.

    Errors: ConfigError for a setting that is missing, or what comes out being no http(s) address.
    """
    found: dict[str, str] = {}
    for name in names_in(template):
        value = _value(config, name)
        found[name] = value.rstrip("/") if template.startswith("{" + name + "}") else quote(value, safe="")
    made = template.format_map(found)
    if not made.lower().startswith(("https://", "http://")):
        raise ConfigError("The address to sign in at does not begin with https://.", code="URL_REFUSED")
    return made


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template, a JSON value, with the values in its texts as they are."""
    if isinstance(template, str):
        return template.format_map({name: _value(values, name) for name in names_in(template)})
    if isinstance(template, Mapping):
        return {name: filled(each, values) for name, each in template.items()}
    if isinstance(template, list | tuple):
        return [filled(each, values) for each in template]
    return template


def _value(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value in (None, ""):
        raise ConfigError(f"The connection has no {name}; enter it and try again.", code="CONFIG_INCOMPLETE")
    return str(value)
