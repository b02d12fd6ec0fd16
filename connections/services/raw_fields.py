"""What stands in a system's objects: every place of a sample, how often it is filled, of which kind, with examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.redaction import CUT, is_secret_key, redact_text
from integrations.sdk.path_uses import EACH, Path, path_text

EXAMPLES, EXAMPLE_CHARACTERS = 3, 80
MOST_FIELDS, MOST_DEPTH, MOST_ELEMENTS = 400, 6, 50
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?")


@dataclass
class RawField:
    """One place. `filled` counts objects that have something there: no null, empty text, empty list or object.

    `kinds`: text, number, integer, boolean, date, datetime, decimal (a number written as text), list, object.
    """

    path: Path
    filled: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The path as a source."""
        return path_text(self.path)

    @property
    def kind(self) -> str:
        """What it mostly is, empty where it is never filled."""
        return max(self.kinds, key=lambda kind: self.kinds[kind], default="")

    @property
    def is_container(self) -> bool:
        return self.kind in ("list", "object")


@dataclass
class RawFields:
    """The places of a sample in the order in which they were met. `cut`: there were more than are told."""

    seen: int = 0
    cut: bool = False
    by_path: dict[Path, RawField] = field(default_factory=dict)

    def share(self, found: RawField) -> float:
        """In how many of the objects it is filled, in percent with one decimal."""
        return round(100 * found.filled / self.seen, 1) if self.seen else 0.0


def observe(objects: Iterable[Any]) -> RawFields:
    """Look through decoded objects. Values are shown cut, and without secrets."""
    found = RawFields()
    for decoded in objects:
        found.seen += 1
        filled: set[Path] = set()
        for path, value in _places(decoded, ()):
            place = found.by_path.get(path)
            if place is None:
                if len(found.by_path) >= MOST_FIELDS:
                    found.cut = True
                    continue
                place = found.by_path[path] = RawField(path)
            if value in (None, "", [], {}):
                continue
            if path not in filled:
                filled.add(path)
                place.filled += 1
            _note(place, value)
    return found


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every leaf, and every list or object that is empty or holds objects."""
    if isinstance(value, dict) and path and not value:
        yield path, value
    if isinstance(value, dict) and len(path) < MOST_DEPTH:
        for key, item in value.items():
            yield from _places(item, (*path, str(key)))
    elif isinstance(value, list) and len(path) < MOST_DEPTH:
        yield path, value
        for item in value[:MOST_ELEMENTS]:
            yield from _places(item, (*path, EACH))
    elif path:
        yield path, value


def _note(place: RawField, value: Any) -> None:
    kind = _kind(value)
    place.kinds[kind] = place.kinds.get(kind, 0) + 1
    if len(place.examples) < EXAMPLES:
        shown = _shown(place.path, value)
        if shown not in place.examples:
            place.examples.append(shown)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "object"
    text = str(value)
    if _DAY.fullmatch(text):
        return "date"
    if _MOMENT.fullmatch(text):
        return "datetime"
    return "decimal" if _NUMBER.fullmatch(text) else "text"


def _shown(path: Path, value: Any) -> str:
    """Secrets are known by the name of any key on the way, or by their form."""
    if isinstance(value, list):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    if isinstance(value, dict):
        return f"{len(value)} {'field' if len(value) == 1 else 'fields'}"
    if any(is_secret_key(key) for key in path):
        return CUT
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = redact_text(text[: EXAMPLE_CHARACTERS * 4])
    return text if len(text) <= EXAMPLE_CHARACTERS else f"{text[: EXAMPLE_CHARACTERS - 1]}…"
