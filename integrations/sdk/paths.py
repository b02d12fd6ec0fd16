"""Source paths: `vendor.name`, `lines[0].id`, `a|b` for composite keys; anything else is JMESPath. Compiled once a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from core.expressions import Expression

Getter = Callable[[Any], Any]
PLAIN = re.compile(r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*\.?$")
_KEY = r'(?:[A-Za-z_][\w-]*|"(?:[^"\\]|\\.)+")'
_PART = re.compile(_KEY)
QUOTED = re.compile(rf"^{_KEY}(?:\.{_KEY})*$")


def compile_path(source: str) -> Getter:
    """A function from the decoded upstream object to the value at `source`; None where nothing is there.

    `@` is the object itself. Errors: ValidationFailedError when it is neither a path nor an allowed expression.
    """
    if source in ("@", ""):
        return lambda raw: raw
    if PLAIN.match(source):
        return _dotted(source)
    keys = path_keys(source)
    if keys is not None:
        return _nested(keys)
    return Expression(source).evaluate


def plain_key(source: str) -> str | None:
    """The key, when the source is nothing but one."""
    return source if PLAIN.match(source) and "." not in source else None


def path_keys(source: str) -> tuple[str, ...] | None:
    """The keys of a path that leads to one place, such as `vendor.code` or `extraFields."ABC class"`; None for others."""
    if PLAIN.match(source) and not source.endswith("."):
        return tuple(source.split("."))
    if not QUOTED.match(source):
        return None
    try:
        return tuple(json.loads(part) if part[0] == '"' else part for part in _PART.findall(source))
    except ValueError:  # a quoted key with an escape that is none: an expression, which says what is wrong
        return None


def key_text(key: str) -> str:
    """A key as it is written in a path, quoted where it must be."""
    return key if PLAIN.match(key) and "." not in key and "-" not in key else json.dumps(key, ensure_ascii=False)


def _nested(keys: tuple[str, ...]) -> Getter:
    def get(raw: Any) -> Any:
        value = raw
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return get


def _dotted(source: str) -> Getter:
    first, *rest = source.split(".")
    if not rest:
        return lambda raw: raw.get(first)
    if rest == [""]:  # Tryton answers the fields of a reference under `party.`
        key = source
        return lambda raw: raw.get(key)

    if len(rest) == 1:
        second = rest[0]

        def get_second(raw: Any) -> Any:
            value = raw.get(first)
            return value.get(second) if isinstance(value, dict) else None

        return get_second

    def get(raw: Any) -> Any:
        value = raw.get(first)
        for name in rest:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return get


def compile_key(source: str) -> Callable[[Any], str]:
    """The remote id of a decoded object: one path, or several joined by `|`. Raises KeyError when a part is missing."""
    getters = [(part, compile_path(part)) for part in source.split("|")]

    def key(raw: Any) -> str:
        parts = []
        for name, get in getters:
            value = get(raw)
            if value is None or value == "":
                raise KeyError(name)
            parts.append(str(value))
        return "|".join(parts)

    return key
