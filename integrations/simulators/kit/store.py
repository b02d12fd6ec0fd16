"""The state of a simulated system, in memory behind one lock."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from integrations.simulators.kit.clock import Clock
from integrations.simulators.kit.entities import Entity

Object = dict[str, Any]
# Missing values sort first, texts and numbers never meet within one field.
Key = tuple[bool, Any, int]


@dataclass(frozen=True)
class Change:
    """One object as a transaction found and left it; `before` is None for a new one."""

    entity: str
    number: int
    effect: str
    before: Object | None
    after: Object
    at: str


class Row:
    """One object, its version, and its JSON as far as somebody asked for it."""

    __slots__ = ("data", "rendered", "version")

    def __init__(self, data: Object, version: int = 1) -> None:
        self.data, self.version = data, version
        self.rendered: dict[Any, bytes] = {}

    def json(self, view: Any, make: Callable[[Object], Object]) -> bytes:
        """The bytes of one view, made once until the object changes."""
        found = self.rendered.get(view)
        if found is None:
            # A copy: orjson's own bytes sit in a buffer of several kilobytes that cannot be used again.
            found = self.rendered[view] = bytes(memoryview(orjson.dumps(make(self.data))))
        return found


class Table:
    """The objects of one entity, with the live ones in order of every field a list may be sorted by."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.rows: dict[int, Row] = {}
        self.next_id = 1
        self.orders: dict[str, list[Key]] = {name: [] for name in entity.sorts}

    def is_deleted(self, row: Row) -> bool:
        return row.data.get(self.entity.deleted_field) is not None

    def key(self, name: str, data: Object) -> Key:
        value = data.get(name)
        return value is not None, value, data["id"]

    def put(self, data: Object) -> Row:
        """Store a new state of an object and keep the orders right."""
        old = self.rows.get(data["id"])
        row = Row(data, old.version + 1 if old else 1)
        self.rows[data["id"]] = row
        self.next_id = max(self.next_id, data["id"] + 1)
        was, now = old if old and not self.is_deleted(old) else None, row if not self.is_deleted(row) else None
        for name, order in self.orders.items():
            before = self.key(name, was.data) if was else None
            after = self.key(name, now.data) if now else None
            if before == after:
                continue
            if before:
                del order[bisect_left(order, before)]
            if after:
                insort(order, after)
        return row

    def load(self, objects: Iterable[Object]) -> None:
        """Take many objects at once into an empty table."""
        self.rows = {data["id"]: Row(data) for data in objects}
        live = [row.data for row in self.rows.values() if not self.is_deleted(row)]
        self.orders = {name: sorted(self.key(name, data) for data in live) for name in self.entity.sorts}
        self.next_id = max(self.rows, default=0) + 1

    def live(self) -> Iterator[Row]:
        return (row for row in self.rows.values() if not self.is_deleted(row))


class Store:
    """Reading and committing need `lock`."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.counters: dict[str, int] = {}
        self.tables = {entity.name: Table(entity) for entity in entities}

    def clear(self) -> None:
        self.counters.clear()
        self.tables = {name: Table(table.entity) for name, table in self.tables.items()}

    def row(self, entity: str, number: int) -> Row | None:
        return self.tables[entity].rows.get(number)

    def exists(self, entity: str, number: int) -> bool:
        row = self.row(entity, number)
        return row is not None and not self.tables[entity].is_deleted(row)


class Transaction:
    """Changes that are applied together by `commit`, or not at all."""

    def __init__(self, store: Store, now: str | None = None) -> None:
        self.store = store
        self.now = now or store.clock.text()
        self.effects: list[tuple[str, int, str]] = []
        self._staged: dict[tuple[str, int], Object] = {}
        self._counters = dict(store.counters)
        self._ids: dict[str, int] = {}

    def get(self, entity: str, number: int) -> Object | None:
        """The object as this transaction sees it; not to be changed in place."""
        if staged := self._staged.get((entity, number)):
            return staged
        row = self.store.row(entity, number)
        return row.data if row else None

    def exists(self, entity: str, number: int) -> bool:
        found = self.get(entity, number)
        return found is not None and found.get(self.store.tables[entity].entity.deleted_field) is None

    def count(self, name: str, start: int = 1) -> int:
        """The next number of a named series."""
        self._counters[name] = self._counters.get(name, start - 1) + 1
        return self._counters[name]

    def create(self, entity: str, data: Object) -> Object:
        kind = self.store.tables[entity].entity
        number = self._ids.get(entity, self.store.tables[entity].next_id)
        self._ids[entity] = number + 1
        times = {kind.created_field: self.now, kind.updated_field: self.now, kind.deleted_field: None}
        made = {"id": number, **times, **data}
        return self._stage(entity, number, made, "created")

    def update(self, entity: str, number: int, changes: Object, *, touch: bool = True) -> Object:
        """Change some fields; `touch` moves the time of the last change."""
        kind = self.store.tables[entity].entity
        before = self.get(entity, number)
        assert before is not None
        time = {kind.updated_field: self.now} if touch else {}
        return self._stage(entity, number, {**before, **changes, **time}, "updated")

    def delete(self, entity: str, number: int) -> None:
        """Mark as deleted, which takes it out of the lists."""
        kind = self.store.tables[entity].entity
        before = self.get(entity, number)
        assert before is not None
        times = {kind.updated_field: self.now, kind.deleted_field: self.now}
        self._stage(entity, number, {**before, **times}, "deleted")

    def commit(self) -> list[Change]:
        """Answers what it changed, in order."""
        self.store.counters.update(self._counters)
        changes = []
        for entity, number, effect in self.effects:
            row, after = self.store.row(entity, number), self._staged[entity, number]
            changes.append(Change(entity, number, effect, row.data if row else None, after, self.now))
            self.store.tables[entity].put(after)
        return changes

    def _stage(self, entity: str, number: int, data: Object, effect: str) -> Object:
        if (entity, number) not in self._staged:
            self.effects.append((entity, number, effect))
        self._staged[entity, number] = data
        return data
