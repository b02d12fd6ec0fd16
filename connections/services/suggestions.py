"""What the places of a system's objects could become: which are used already, and a proposal for each that is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from connections.services.raw_fields import RawField, RawFields
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.mapping import CUSTOM, MappingRow
from integrations.sdk.path_uses import EACH, Path, Use, path_text, read_paths, targets_by_path, uses_of
from integrations.sdk.paths import path_keys

ENOUGH = 0.6
_SCALARS: dict[str, tuple[str, ...]] = {
    "text": ("string", "text", "enum"),
    "decimal": ("string", "decimal", "amount", "quantity", "integer"),
    "number": ("decimal", "amount", "quantity"),
    "integer": ("integer", "decimal", "amount", "quantity", "string"),
    "boolean": ("boolean",),
    "date": ("date", "datetime", "string"),
    "datetime": ("datetime", "date", "string"),
}
"""Kind of what stands there -> kinds of fields it can fill without a transform."""
CUSTOM_TYPE = {
    "text": "text", "decimal": "text", "number": "decimal", "integer": "integer", "boolean": "boolean",
    "date": "date", "datetime": "datetime",
}  # fmt: skip
_WORDS = {
    "qty": "quantity", "desc": "description", "text": "description", "no": "number", "nr": "number", "num": "number",
    "code": "number", "ref": "reference", "amt": "amount", "supplier": "vendor", "mail": "email", "tel": "phone",
    "telephone": "phone", "uom": "unit", "remark": "notes", "remarks": "notes", "comment": "notes", "comments": "notes",
    "note": "notes", "memo": "notes", "site": "location", "loc": "location", "mfr": "manufacturer", "maker": "manufacturer",
    "serial": "serial", "title": "name", "sum": "total", "value": "amount", "deadline": "due", "url": "website",
    "homepage": "website", "prio": "priority", "cost": "price",
}  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Proposal:
    """A row to add: `row` as people send it. `custom`: no unified field fits, so it is one of the connection's own."""

    row: dict[str, Any]
    custom: bool
    score: float


@dataclass(frozen=True)
class Suggestion:
    """One place with the targets made from it, or what could be."""

    field: RawField
    coverage: float
    used_by: list[str]
    proposal: Proposal | None


def suggest(spec: EntitySpec, rows: Sequence[MappingRow], found: RawFields, *, identity: str = "") -> list[Suggestion]:
    """Each place of the sample. A unified field is proposed once, for the place that fits it best.

    `identity`: the paths of the remote id, joined by `|`; it is in every record already.
    """
    uses = [*uses_of(rows), *(Use(path, "remote_id") for key in identity.split("|") for path in read_paths(key))]
    used = {place.path: targets_by_path(uses, place.path) for place in found.by_path.values()}
    inside = {path: targets for path, targets in used.items() if targets}
    free = [place for place in found.by_path.values() if place.path not in inside and place.filled]
    proposals = _proposals(spec, rows, free)
    return [
        Suggestion(place, found.share(place), used[place.path], proposals.get(place.path))
        for place in found.by_path.values()
    ]


def _proposals(spec: EntitySpec, rows: Sequence[MappingRow], free: Sequence[RawField]) -> dict[Path, Proposal]:
    mapped = {row.target for row in rows if row.source or row.transforms}
    open_fields = [each for each in spec.fields if each.name not in mapped and each.kind not in ("list", "object")]
    best: dict[str, tuple[float, RawField]] = {}
    for place in free:
        if EACH in place.path or place.is_container:
            continue
        for each in open_fields:
            score = likeness(place, each)
            if score >= ENOUGH and score > best.get(each.name, (0.0, place))[0]:
                best[each.name] = (score, place)
    chosen: dict[Path, Proposal] = {}
    for name, (score, place) in sorted(best.items(), key=lambda item: -item[1][0]):
        row = {"target": name, "source": path_text(place.path)}
        chosen.setdefault(place.path, Proposal(row, custom=False, score=round(score, 2)))
    names = {row.target for row in rows if row.target.startswith(CUSTOM)}
    for place in free:
        own = None if place.path in chosen else _custom_row(place, rows, names)
        if own is not None:
            chosen[place.path] = Proposal(own, custom=True, score=0.0)
    return chosen


def likeness(place: RawField, spec: FieldSpec) -> float:
    """How well a place fits a field, 0 to 1, by names and kinds."""
    if spec.kind == "reference":
        fits = place.kind in ("integer", "text", "decimal")
    else:
        fits = spec.kind in _SCALARS.get(place.kind, ())
    if not fits:
        return 0.0
    wanted = _words(spec.name)
    # The last keys say the most: `vendor.code` is rather a code than a vendor.
    last, whole = _words(place.path[-1]), _words(" ".join(place.path[-2:]))
    if spec.kind == "reference":
        last, whole = last - {"id", "key"}, whole - {"id", "key"}
    return max(_alike(last, wanted), _alike(whole, wanted))


def _alike(found: frozenset[str], wanted: frozenset[str]) -> float:
    if not found or not wanted:
        return 0.0
    shared = len(found & wanted) / len(found | wanted)
    spelled = SequenceMatcher(None, " ".join(sorted(found)), " ".join(sorted(wanted))).ratio()
    return max(shared, spelled if spelled > 0.8 else 0.0)


def _words(name: str) -> frozenset[str]:
    """The words of a name in camel, snake or kebab case, common short forms written out."""
    words = _NO_WORD.sub(" ", _CAMEL.sub(" ", name)).lower().split()
    return frozenset(_WORDS.get(word, word) for word in words)


def _custom_row(place: RawField, rows: Iterable[MappingRow], taken: set[str]) -> dict[str, Any] | None:
    """A custom field for it; None inside of lists that the mapping takes apart, which have no room for one."""
    lists = {path_keys(row.source) for row in rows if row.items}
    if any(place.path[:end] in lists for end in range(1, len(place.path) + 1)):
        return None
    if EACH in place.path:
        return None  # the list itself is proposed
    keys = place.path
    name = _free_name(_slug(keys[-1]) or "field", taken)
    if name is None:
        return None
    taken.add(name)
    row: dict[str, Any] = {"target": name, "source": path_text(keys), "title": _title(keys[-1])}
    if all(kind in CUSTOM_TYPE for kind in place.kinds):
        row["type"] = CUSTOM_TYPE[place.kind] if len(place.kinds) == 1 else "text"
    return row


def _slug(key: str) -> str:
    text = _NO_WORD.sub("_", _CAMEL.sub("_", key)).strip("_").lower()[:40]
    return text if text[:1].isalpha() else f"f_{text}" if text else ""


def _free_name(name: str, taken: set[str]) -> str | None:
    numbered = (name, *(f"{name}_{number}" for number in range(2, 20)))
    return next((f"{CUSTOM}{each}" for each in numbered if f"{CUSTOM}{each}" not in taken), None)


def _title(key: str) -> str:
    text = _NO_WORD.sub(" ", _CAMEL.sub(" ", key)).strip()
    return (text[:1].upper() + text[1:])[:80]
