"""A definition as the text that people edit: in an order one can read, compared line by line, its faults with their line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import FieldError, ValidationFailedError
from core.json import loads_strict, pointer
from flows.definitions.checking import read_definition
from flows.definitions.model import MAX_DEFINITION_BYTES, Definition

__all__ = ["DiffLine", "Fault", "as_text", "check_text", "diff", "faults_of", "line_of", "read_text"]

_FIRST = (
    "format", "name", "title", "description", "do", "on", "system", "connections", "trigger", "key", "queue",
    "overdue_after_seconds", "when", "connection", "entity", "if", "items", "action", "id", "method", "url",
)  # fmt: skip
_LAST = ("retry", "on_error", "then", "else", "steps", "example")
_RANKS = {name: rank for rank, name in enumerate(_FIRST)} | {name: 1000 + rank for rank, name in enumerate(_LAST)}
_FREE = {"body", "value", "data", "example", "where", "query", "headers"}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+|\n')
_AT_BYTE = re.compile(r"at byte (\d+)")


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which line (1 is the first; 0: of no line)."""

    pointer: str
    detail: str
    line: int


@dataclass(frozen=True)
class DiffLine:
    """One line of a comparison; `kind` is added, removed, same or place."""

    kind: str
    text: str


def as_text(definition: Mapping[str, Any]) -> str:
    """Indented JSON. The database does not keep the order of keys, so they come in that of the documentation."""
    return json.dumps(_in_order(definition), indent=2, ensure_ascii=False)


def read_text(text: str) -> dict[str, Any]:
    """The text as a JSON object, whatever is in it. Errors: ValidationFailedError."""
    value = loads_strict(text.encode("utf-8", "surrogatepass"), max_bytes=4 * MAX_DEFINITION_BYTES)
    if not isinstance(value, dict):
        raise ValidationFailedError("A definition is a JSON object: it begins with { and ends with }.")
    return value


def check_text(text: str) -> tuple[Definition | None, list[Fault]]:
    """The definition that the text says, or what is wrong with it."""
    try:
        return read_definition(read_text(text)), []
    except ValidationFailedError as error:
        return None, faults_of(error, text)


def faults_of(error: ValidationFailedError, text: str) -> list[Fault]:
    """The faults that an error names, with their lines in the text."""
    if error.errors:
        return [_fault(found, text) for found in error.errors]
    at = _AT_BYTE.search(error.detail)
    before = text.encode("utf-8", "surrogatepass")[: int(at[1])] if at else b""
    return [Fault("", error.detail.replace("The body", "The text"), before.count(b"\n") + 1 if at else 0)]


def line_of(text: str, wanted: str) -> int:
    """The line where the value at a JSON pointer begins, or its nearest parent that is there; the text is valid JSON."""
    lines = _lines(text)
    while wanted and wanted not in lines:
        wanted = wanted.rpartition("/")[0]
    return lines.get(wanted, 1)


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[DiffLine]:
    """What makes one definition into another, with three lines around each place; empty when nothing does."""
    lines = difflib.unified_diff(as_text(before).splitlines(), as_text(after).splitlines(), n=3, lineterm="")
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [DiffLine(kinds.get(line[0], "same"), line) for line in list(lines)[2:]]


def _fault(found: FieldError, text: str) -> Fault:
    if found.pointer.startswith("/bindings"):
        return Fault(found.pointer, found.detail, 0)
    inside = found.pointer.removeprefix("/definition")
    return Fault(inside, found.detail, line_of(text, inside))


def _in_order(value: Any, *, is_free: bool = False) -> Any:
    """Free JSON, which is the author's own, comes as it is stored."""
    if isinstance(value, list):
        return [_in_order(item, is_free=is_free) for item in value]
    if not isinstance(value, Mapping):
        return value
    keys: Iterable[str] = value if is_free else sorted(value, key=lambda key: _RANKS.get(key, 500))
    return {key: _in_order(value[key], is_free=is_free or key in _FREE) for key in keys}


def _lines(text: str) -> dict[str, int]:
    """The line of each value by its pointer."""
    found: dict[str, int] = {"": 1}
    open_ones: list[list[Any]] = []  # of each array or object that is open: its pointer, and the key or index within
    line, is_key = 1, False
    for part in (match[0] for match in _TOKEN.finditer(text)):
        if part == "\n":
            line += 1
        elif part in "[{":
            open_ones.append([_here(open_ones), 0 if part == "[" else None])
            found.setdefault(open_ones[-1][0], line)
            is_key = part == "{"
        elif part in "]}":
            open_ones.pop()
            is_key = False
        elif part == ",":
            is_key = open_ones[-1][1] is None or isinstance(open_ones[-1][1], str)
            open_ones[-1][1] = None if is_key else open_ones[-1][1] + 1
        elif part == ":":
            is_key = False
        elif is_key:
            open_ones[-1][1] = json.loads(part)
            found.setdefault(_here(open_ones), line)
        else:
            found.setdefault(_here(open_ones), line)
    return found


def _here(open_ones: list[list[Any]]) -> str:
    if not open_ones:
        return ""
    base, part = open_ones[-1]
    return f"{base}{pointer(part)}" if part is not None else base
