"""The history of configuration as people read it: when, who, and each changed field, old and new.

The rows are those the database copied (`core.history`); who did it is told by an audit event of the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.history import BASELINE, DELETED, INSERTED
from workspaces.models import AuditEvent

MOST_ROWS = 200
"""Of each source, the newest: what was longer ago is found in the tables."""
MAX_CHARACTERS = 300
_NOTHING = "—"
# Known from the page, or ids that tell people nothing.
_HIDDEN = frozenset({"workspace", "connection", "user"})
_WHAT = {BASELINE: "was there when history began", INSERTED: "made", DELETED: "deleted"}


@dataclass(frozen=True)
class Source:
    """History rows of one kind, and how to call the object of one: "Sync of purchase_order"."""

    rows: Any
    name: Callable[[Any], str]


@dataclass(frozen=True)
class FieldChange:
    """One field, or one key of a JSON field."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """What one transaction did to one object. `who` is empty where no audit event tells."""

    at: datetime
    name: str
    what: str
    who: str
    action: str
    fields: tuple[FieldChange, ...]


def read_changes(sources: Sequence[Source], workspace_id: UUID) -> list[Change]:
    """Newest first: a query for each source, and one for who it was."""
    found = [(row, source, before) for source in sources for row, before in _with_predecessors(source.rows)]
    events = _events_at({row.pgh_created_at for row, _, _ in found}, workspace_id)
    changes = [_change(row, source, before, events.get(row.pgh_created_at)) for row, source, before in found]
    return sorted(changes, key=lambda change: change.at, reverse=True)


def _with_predecessors(rows: Any) -> Iterator[tuple[Any, Any]]:
    """Each row with the one before it of the same object. Updates whose predecessor is too long ago are left out."""
    newest = list(rows.order_by("-pgh_id")[:MOST_ROWS])
    last: dict[Any, Any] = {}
    for row in reversed(newest):
        before = last.get(row.pgh_obj_id)
        last[row.pgh_obj_id] = row
        if before is not None or row.pgh_label in _WHAT:
            yield row, before


def _events_at(times: Iterable[datetime], workspace_id: UUID) -> dict[datetime, AuditEvent]:
    """The first event of each transaction: what was asked for. What followed from it comes later."""
    events = AuditEvent.objects.filter(workspace_id=workspace_id, at__in=list(times)).order_by("-pk")
    return {event.at: event for event in events}


def _change(row: Any, source: Source, before: Any, event: AuditEvent | None) -> Change:
    old = _values(before) if before is not None else {}
    new = {} if row.pgh_label == DELETED else _values(row)
    return Change(
        at=row.pgh_created_at,
        name=source.name(row),
        what=_WHAT.get(row.pgh_label, "changed"),
        who=event.actor if event else "",
        action=event.action if event else "",
        fields=() if row.pgh_label == DELETED else tuple(_differences(old, new)),
    )


def _values(row: Any) -> dict[str, Any]:
    names = (field.attname for field in row._meta.concrete_fields if not field.name.startswith("pgh_"))
    shown = {name: getattr(row, name) for name in names if name.removesuffix("_id") not in _HIDDEN}
    return dict(_flat(shown))


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """JSON objects by their keys, so that one changed setting is one line."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldChange]:
    for name in [*new, *(name for name in old if name not in new)]:
        before, after = _text(old.get(name)), _text(new.get(name))
        if old.get(name) != new.get(name) and before != after:
            yield FieldChange(name, before, after)


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
