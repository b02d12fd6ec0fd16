"""The items of a for-each: chosen once, when it begins, and kept until all had their turn.

Records are kept as their id and version, and read again when their turn comes: each is done as it is then, or skipped when
it is gone. Other items are kept as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from core import ids
from core.errors import NotFoundError, ValidationFailedError
from flows.definitions.model import ForEach
from flows.definitions.names_used import names_used
from flows.engine.sizes import MAX_SELECTION_BYTES, fitting
from flows.engine.work import Work
from flows.expressions import render
from integrations.entities import ENTITIES
from syncs.models import Record
from syncs.records import Selection, as_texts, read_records

MAX_KEY = 200
RENEW_EVERY = 10
Entry = dict[str, Any]
"""{"key", "item"}, or {"key", "id", "version"} of a record."""


@dataclass(eq=False)
class RecordGoneError(NotFoundError):
    """It was deleted, or is not shared any more, since the items were chosen."""

    default_code = "RECORD_GONE"


def select(work: Work, step: ForEach, items: Any, context: Mapping[str, Any]) -> list[Entry]:
    """What is kept of the items, each with a key of its own.

    Errors: ValidationFailedError ITEMS_NOT_A_LIST, TOO_MANY_ITEMS, SELECTION_TOO_LARGE; ExpressionError of a key.
    """
    if not isinstance(items, list):
        kind = "null" if items is None else type(items).__name__
        raise ValidationFailedError(
            f"`items` of {step.name} must give a list; it gave {kind}.", code="ITEMS_NOT_A_LIST"
        )
    if len(items) > step.limit:
        detail = f"{step.name} has {len(items):,} items; its limit is {step.limit:,}. Choose fewer, or raise the limit."
        raise ValidationFailedError(detail, code="TOO_MANY_ITEMS")
    known = _known(work, items)
    keys = _distinct(_keys(work, step, items, context))
    chosen = [_entry(key, item, known) for key, item in zip(keys, items, strict=True)]
    fitting(chosen, f"The items of {step.name}", code="SELECTION_TOO_LARGE", limit=MAX_SELECTION_BYTES)
    return chosen


def item_of(work: Work, entry: Entry) -> Any:
    """The item as it is now. Errors: RecordGoneError."""
    if "item" in entry:
        return entry["item"]
    pk = _record_id(entry)
    where = _place(work, pk) if pk is not None else None
    if pk is not None and where is not None:
        selection = Selection(ids=[pk], if_shared=True)
        connection_id, entity = where
        rows = read_records(
            selection, workspace_id=work.run.workspace_id, connection_id=connection_id, entity=entity, limit=1
        )
        if rows:
            return orjson.loads(as_texts(rows)[0])
    raise RecordGoneError(f"The record {entry['id']} is gone since the items were chosen.")


def _place(work: Work, pk: UUID) -> tuple[UUID, str] | None:
    """The connection and entity of a record."""
    rows = Record.objects.filter(pk=pk, connection_id__in=_bound(work)).values_list("connection_id", "entity")
    found: tuple[UUID, str] | None = rows.first()
    return found


def _entry(key: str, item: Any, known: set[UUID]) -> Entry:
    if _record_id(item) in known:
        return {"key": key, "id": item["id"], "version": item["version"]}
    return {"key": key, "item": item}


def _known(work: Work, items: Sequence[Any]) -> set[UUID]:
    """Which items are records of connections that the flow works with."""
    wanted = {pk for pk in map(_record_id, items) if pk is not None}
    if not wanted:
        return set()
    return set(Record.objects.filter(pk__in=wanted, connection_id__in=_bound(work)).values_list("pk", flat=True))


def _bound(work: Work) -> list[UUID]:
    return [pk for pk in work.bound.ids.values() if pk is not None]


def _record_id(item: Any) -> UUID | None:
    """Of what looks like a record: an id with the prefix of an entity, and a version."""
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or not isinstance(item.get("version"), int):
        return None
    prefix = item["id"].rpartition("_")[0]
    return ids.read(prefix, item["id"]) if prefix in _prefixes() else None


@cache
def _prefixes() -> frozenset[str]:
    return frozenset(entity.describes.id_prefix for entity in ENTITIES.values())


def _keys(work: Work, step: ForEach, items: Sequence[Any], context: Mapping[str, Any]) -> Iterable[str]:
    if step.key is None:
        for index, item in enumerate(items):
            yield _key_text(item.get("id") if isinstance(item, Mapping) else None, index)
        return
    seen = _seen_by(step.key, context)
    for index, item in enumerate(items):
        if index % RENEW_EVERY == RENEW_EVERY - 1:
            work.lease.renew()
        yield _key_text(render({"$": step.key}, {**seen, "item": item, "index": index}), index)


def _seen_by(expression: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the expression looks at: the rest need not be carried to it for each item."""
    if "@" in expression:
        return context
    used = names_used(expression).top
    return {name: value for name, value in context.items() if name in used}


def _key_text(value: Any, index: int) -> str:
    """A short text without brackets, which stand in paths. The index where there is no value to tell items by."""
    if value is None or value == "" or isinstance(value, list | dict):
        return str(index)
    text = orjson.dumps(value).decode() if isinstance(value, bool | float) else str(value)
    text = text.translate({ord("["): "(", ord("]"): ")"})
    if len(text) <= MAX_KEY:
        return text
    return f"{text[: MAX_KEY - 17]}~{blake2b(text.encode(), digest_size=8).hexdigest()}"


def _distinct(keys: Iterable[str]) -> list[str]:
    """Equal ones get `#2`, `#3`."""
    times: Counter[str] = Counter()
    taken: set[str] = set()
    distinct = []
    for key in keys:
        times[key] += 1
        name = key if times[key] == 1 else _numbered(key, times[key])
        while name in taken:
            times[key] += 1
            name = _numbered(key, times[key])
        taken.add(name)
        distinct.append(name)
    return distinct


def _numbered(key: str, number: int) -> str:
    end = f"#{number}"
    return key[: MAX_KEY - len(end)] + end
