"""Source paths: `vendor.name`, `lines[0].id`, `a|b` for composite keys; anything else is JMESPath. Compiled once a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from core.expressions import Expression

Getter = Callable[[Any], Any]
PLAIN = re.compile(r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*\.?$")


def compile_path(source: str) -> Getter:
    """A function from the decoded upstream object to the value at `source`; None where nothing is there.

    `@` is the object itself. Errors: ValidationFailedError when it is neither a path nor an allowed expression.
    """
    if source in ("@", ""):
        return lambda raw: raw
    if PLAIN.match(source):
        return _dotted(source)
    return Expression(source).evaluate


def plain_key(source: str) -> str | None:
    """The key, when the source is nothing but one."""
    return source if PLAIN.match(source) and "." not in source else None


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
