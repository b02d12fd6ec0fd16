"""Which places of an object a source looks at, as paths: what a mapping uses, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ValidationFailedError
from core.expressions import parse
from integrations.sdk.mapping import MappingRow
from integrations.sdk.paths import PLAIN, key_text, path_keys

Path = tuple[str, ...]
EACH = "[]"
"""The part of a path that stands for each element of a list."""


def path_text(path: Path) -> str:
    """`("lines", "[]", "ABC class")` -> `lines[]."ABC class"`: what a source can be."""
    text = ""
    for part in path:
        text += EACH if part == EACH else f"{'.' if text else ''}{key_text(part)}"
    return text or "@"


@dataclass(frozen=True)
class Use:
    """A place that a target is made from; `inside` where rows of its own say what of it is used."""

    path: Path
    target: str
    inside: bool = False


def uses_of(rows: Iterable[MappingRow], at: Path = (), above: str = "") -> Iterator[Use]:
    """What the rows look at; targets inside of lists and objects as `lines.quantity`."""
    for row in rows:
        target = above + row.target
        for path in sorted({*read_paths(row.source), *read_paths(row.name_source or "")}):
            yield Use(at + path, target, inside=bool(row.items))
        for base in _bases(row) if row.items else ():
            yield from uses_of(row.items, at + base, f"{target}.")


def targets_by_path(uses: Iterable[Use], path: Path) -> list[str]:
    """The targets that are made from what stands at `path`, or from a whole that it is part of."""
    found = [use.target for use in uses if use.path == path or (not use.inside and path[: len(use.path)] == use.path)]
    return list(dict.fromkeys(found))


def _bases(row: MappingRow) -> list[Path]:
    """Where the objects are that the rows inside look into: one object, or each of a list; a source does not say which."""
    if row.source in ("", "@"):
        return [()]
    keys = path_keys(row.source)
    places = [keys] if keys is not None else sorted(_leads_to(row.source))
    return [base for path in places for base in ((path,) if path[-1:] == (EACH,) else (path, (*path, EACH)))]


def _leads_to(source: str) -> set[Path]:
    try:
        return _walk(parse(source).parsed, {()}, set())
    except ValidationFailedError:
        return set()


def read_paths(source: str) -> set[Path]:
    """The places one source looks at, without those it only goes through; none for what cannot be used as a source."""
    if source in ("", "@"):
        return set()
    if PLAIN.match(source):
        return {tuple(source.removesuffix(".").split("."))}
    found: set[Path] = set()
    try:
        _walk(parse(source).parsed, {()}, found)
    except ValidationFailedError:
        return set()
    return found


def _walk(node: Mapping[str, Any], at: set[Path], found: set[Path]) -> set[Path]:
    """Note the fields the node reads when it looks at any of `at`; answers where it leads."""
    kind, children = node["type"], node.get("children", [])
    if kind == "field":
        reached = {(*path, node["value"]) for path in at}
        found |= reached
        return reached
    if kind in ("subexpression", "pipe"):
        return _onwards(children[0], children[1:], at, found, each=False)
    if kind in ("projection", "value_projection", "filter_projection"):
        return _onwards(children[0], children[1:], at, found, each=True)
    if kind == "index_expression":
        return {(*path, EACH) for path in _walk(children[0], at, found)}
    if kind in ("flatten", "current", "identity"):
        return _walk(children[0], at, found) if children else at
    reached = set()
    for child in children:
        if isinstance(child, Mapping):
            reached |= _walk(child, at, found)
    return reached


def _onwards(
    first: Mapping[str, Any], rest: Sequence[Mapping[str, Any]], at: set[Path], found: set[Path], *, each: bool
) -> set[Path]:
    """A part of a path and what looks into where it leads, a condition too. Where it goes on, it is not read itself."""
    noted: set[Path] = set()
    reached = _walk(first, at, noted)
    passed = {path[:-1] if path[-1:] == (EACH,) else path for path in reached}
    base = {(*path, EACH) for path in reached} if each else reached
    beyond: set[Path] = set()
    leads = [_walk(node, base, beyond) for node in rest]
    found |= beyond | (noted - passed if beyond else noted)
    return leads[0]
