"""What was wished beside what is there: the diff before a write, and what the system did not take up after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from core.json import pointer
from integrations.entities.spec import FieldSpec

Part = str | int
Specs = Mapping[str, FieldSpec]
NUMBERS = frozenset({"decimal", "amount", "quantity"})


def diff(specs: Specs, values: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """`[{"pointer", "before", "after"}]` of every wished value that differs from what is there. A new line always does."""
    there = before or {}
    return [
        {"pointer": pointer(*at), "before": shown(found), "after": wished}
        for at, _, wished, found in _leaves(specs, values, there, (), _line_ids(specs, there))
        if before is None or not _same(_spec_at(specs, at), wished, found)
    ]


def not_applied(
    specs: Specs, values: Mapping[str, Any], after: Mapping[str, Any], before: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """`[{"pointer", "wished", "found"}]` of what was wished and is not there. [] when all of it is.

    A new line is looked for among the lines that were not there before; one that was to go must be gone.
    """
    return [
        {"pointer": pointer(*at), "wished": wished, "found": shown(found)}
        for at, _, wished, found in _leaves(specs, values, after, (), _line_ids(specs, before or {}))
        if not _same(_spec_at(specs, at), wished, found)
    ]


def _line_ids(specs: Specs, there: Mapping[str, Any]) -> dict[str, set[Any]]:
    """Field -> ids of its lines."""
    lists = [name for name, spec in specs.items() if spec.kind == "list"]
    return {name: {line.get("id") for line in there.get(name) or []} for name in lists}


def shown(value: Any) -> Any:
    """A found value as it is compared: of a reference its remote id."""
    return value.get("remote_id") if isinstance(value, dict) and "remote_id" in value else value


Leaf = tuple[tuple[Part, ...], Any, Any, Any]


def _leaves(
    specs: Specs,
    values: Mapping[str, Any],
    there: Mapping[str, Any],
    at: tuple[Part, ...],
    old_lines: Mapping[str, set[Any]] | None = None,
) -> Iterator[Leaf]:
    """(where, spec, wished, found) of every single value."""
    for name, wished in values.items():
        spec, found, here = specs.get(name), there.get(name), (*at, name)
        if name == "custom" and isinstance(wished, Mapping):
            yield from (((*here, key), None, item, (found or {}).get(key)) for key, item in wished.items())
        elif spec is not None and spec.kind == "list" and isinstance(wished, list):
            yield from _lines(spec, wished, found or [], here, (old_lines or {}).get(name, set()))
        elif spec is not None and spec.kind == "object" and isinstance(wished, Mapping):
            yield from _leaves({f.name: f for f in spec.item}, wished, found or {}, here)
        else:
            yield here, spec, wished, found


def _lines(spec: FieldSpec, wished: list[Any], found: list[Any], at: tuple[Part, ...], old: set[Any]) -> Iterator[Leaf]:
    inner = {f.name: f for f in spec.item}
    by_id = {line.get("id"): line for line in found}
    fresh = [line for line in found if line.get("id") is None or line.get("id") not in old]
    for place, line in enumerate(wished):
        rest = {key: value for key, value in line.items() if key not in ("id", "_delete")}
        if line.get("_delete"):
            yield (*at, place, "_delete"), None, True, True if line["id"] not in by_id else None
        elif line.get("id") is not None:
            there = by_id.get(line["id"])
            if there is None:
                yield (*at, place, "id"), None, line["id"], None
            else:
                yield from _leaves(inner, rest, there, (*at, place))
        else:
            there = _closest(inner, rest, fresh)
            if there is None:
                yield (*at, place), None, rest, None
            else:
                fresh.remove(there)
                yield from _leaves(inner, rest, there, (*at, place))


def _closest(inner: Specs, wished: Mapping[str, Any], fresh: list[Any]) -> Any:
    """The line that holds most of what was wished."""

    def score(line: Any) -> int:
        return sum(_same(spec, value, found) for _, spec, value, found in _leaves(inner, wished, line, ()))

    return max(fresh, key=score, default=None)


def _spec_at(specs: Specs, at: tuple[Part, ...]) -> FieldSpec | None:
    spec: FieldSpec | None = None
    level: Specs = specs
    for part in at:
        if isinstance(part, int):
            continue
        spec = level.get(part)
        level = {f.name: f for f in spec.item} if spec is not None else {}
    return spec


def _same(spec: FieldSpec | None, wished: Any, found: Any) -> bool:
    found = shown(found)
    if wished is None or found is None:
        return _nothing(wished) and _nothing(found)
    compare = _COMPARE.get(spec.kind if spec else "") if spec else None
    if spec is not None and spec.kind in NUMBERS:
        compare = _same_number
    try:
        return compare(wished, found) if compare else _plain(wished) == _plain(found)
    except (ValueError, TypeError, InvalidOperation):
        return bool(wished == found)


def _nothing(value: Any) -> bool:
    return value is None or value in ("", [])


def _plain(value: Any) -> Any:
    return value.strip().replace("\r\n", "\n") if isinstance(value, str) else value


def _same_number(wished: Any, found: Any) -> bool:
    return Decimal(str(wished)) == Decimal(str(found))


def _same_moment(wished: Any, found: Any) -> bool:
    return datetime.fromisoformat(wished) == datetime.fromisoformat(found)


def _same_text(wished: Any, found: Any) -> bool:
    return bool(_plain(str(wished)) == _plain(str(found)))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "datetime": _same_moment,
    "reference": _same_text,
    "string": _same_text,
    "text": _same_text,
}
