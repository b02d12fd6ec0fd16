"""Lists and objects, beside what JMESPath has itself (map, merge, sort_by, min_by, max_by, keys, values, `[]`)."""

from __future__ import annotations

import builtins
from typing import Any

import orjson

from flows.expressions.functions.table import FunctionFailedError, evaluated, function


@function("array")
def first(values: list[Any]) -> Any:
    """The first item; null where there is none."""
    return values[0] if values else None


@function("array")
def unique(values: list[Any]) -> list[Any]:
    """Each different value once, where it stands first."""
    seen: dict[bytes, Any] = {}
    for value in values:
        seen.setdefault(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), value)
    return list(seen.values())


@function("array", "expref")
def group_by(values: list[Any], expression: Any) -> dict[str, list[Any]]:
    """An object with a list for each key, in the order they come. The keys must be text."""
    groups: dict[str, list[Any]] = {}
    for value in values:
        groups.setdefault(_key(evaluated(expression, value), "group_by"), []).append(value)
    return groups


@function("object")
def items(value: dict[str, Any]) -> list[list[Any]]:
    """[key, value] of each."""
    return [[key, item] for key, item in value.items()]


@function("array-array")
def from_items(pairs: list[list[Any]]) -> dict[str, Any]:
    """The object made of [key, value] pairs; of a key that comes twice the last one."""
    if not all(len(pair) == 2 for pair in pairs):
        raise FunctionFailedError("from_items() takes pairs of a key and a value")
    return {_key(key, "from_items"): value for key, value in pairs}


@function("array", "array", variadic=True)
def zip_(*lists: list[Any]) -> list[list[Any]]:
    """[first of each list], [second of each list] and so on, as far as the shortest goes."""
    if not all(isinstance(values, list) for values in lists):
        raise FunctionFailedError("zip() takes arrays only")
    return [list(together) for together in builtins.zip(*lists, strict=False)]


def _key(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise FunctionFailedError(f"{name}() takes text as keys; use to_string() for others")
    return value
