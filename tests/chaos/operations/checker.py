"""Judges a history by the simulator's journal and its final objects alone: nothing doubled, nothing lost, all in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from tests.chaos.operations.history import History, Wished

ENDED = ("succeeded", "failed", "needs_review")
Entry = Mapping[str, Any]


@dataclass
class Findings:
    """Each is a list of sentences; all of them are empty when everything is right."""

    duplicates: list[str] = field(default_factory=list)  # a create whose effect stands more than once
    lost: list[str] = field(default_factory=list)  # succeeded, and what was wished is not there
    not_wished: list[str] = field(default_factory=list)  # an effect of something that failed, or of nothing we know
    disordered: list[str] = field(default_factory=list)  # effects on one record in another order than wished
    unfinished: list[str] = field(default_factory=list)  # not ended
    wrongly_reviewed: list[str] = field(default_factory=list)  # given to a person although it could be found out
    keys: list[str] = field(default_factory=list)  # an Idempotency-Key that made two operations
    copy: list[str] = field(default_factory=list)  # the copy is not what is there
    events: list[str] = field(default_factory=list)  # an end that was told never, twice, or as another

    def all(self) -> list[str]:
        return [f"{part.name}: {text}" for part in fields(self) for text in getattr(self, part.name)]


def check(history: History, *, may_need_review: Sequence[str] = ("location",)) -> Findings:
    """`may_need_review`: entities whose creates cannot be looked up, so that a person decides about an unknown one."""
    return _Check(history, may_need_review).run()


class _Check:
    def __init__(self, history: History, may_need_review: Sequence[str]) -> None:
        self.history, self.may_need_review = history, may_need_review
        self.found = Findings()
        self.objects = {(table, str(one["id"])): one for table, objects in history.objects.items() for one in objects}
        # Every effect on the object a request addressed; what changed beside it is none of an operation's own.
        self.effects = [e for e in history.journal if e["effect"] != "none" and not e["side_effect"]]
        self.texts = {e["seq"]: orjson.dumps(e["body"]).decode() for e in self.effects}
        self.of_operation: dict[str, list[int]] = {one.id: [] for one in history.operations}

    def run(self) -> Findings:
        self._attribute()
        for operation in self.history.operations:
            self._ended(operation)
            if operation.kind == "create":
                self._create(operation)
            elif operation.kind == "update":
                self._update(operation)
        for record, operations in self._by_record().items():
            self._in_order(record, operations)
            self._as_left(record, operations)
        for one in self.history.copy:
            if difference := _difference(one.here, one.there):
                self.found.copy.append(f"{one.entity} {one.remote_id}: {difference}")
        return self.found

    # --- whose effect is it ---------------------------------------------------------------------------------------

    def _attribute(self) -> None:
        """Give every effect to the operation that wished it: by its text, deletes and actions by record and order."""
        by_marker = {one.marker: one for one in self.history.operations if one.marker}
        by_record = self._by_record()
        for entry in self.effects:
            marked = [one for marker, one in by_marker.items() if marker in self.texts[entry["seq"]]]
            record = (entry["entity"], str(entry["object_id"]))
            owner = marked[0] if len(marked) == 1 else self._unmarked(entry, by_record.get(record, []))
            if owner is None or (owner.table, _EFFECTS[owner.kind]) != (entry["entity"], entry["effect"]):
                self.found.not_wished.append(f"{entry['effect']} {record} by {entry['method']} {entry['path']}")
            else:
                self.of_operation[owner.id].append(entry["seq"])

    def _unmarked(self, entry: Entry, candidates: Sequence[Wished]) -> Wished | None:
        """The delete, or the action whose turn it is: the one that had the latest effect again, or the next."""
        if entry["effect"] == "deleted":
            return next((one for one in candidates if one.kind == "delete"), None)
        status = entry["body"].get("status") if isinstance(entry["body"], dict) else None
        actions = [one for one in candidates if one.kind == "action"]
        begun = [place for place, one in enumerate(actions) if self.of_operation[one.id]]
        following = actions[begun[-1] if begun else 0 :]
        return next((one for one in following if status in one.leads_to), None)

    def _by_record(self) -> dict[tuple[str, str], list[Wished]]:
        grouped: dict[tuple[str, str], list[Wished]] = defaultdict(list)
        for one in sorted(self.history.operations, key=lambda one: one.order):
            if one.record:
                grouped[one.table, one.record].append(one)
        return grouped

    # --- one operation --------------------------------------------------------------------------------------------

    def _ended(self, operation: Wished) -> None:
        if operation.status not in ENDED:
            self.found.unfinished.append(operation.shown)
        elif list(operation.told) != [f"operation.{operation.status}"]:
            self.found.events.append(f"{operation.shown} was told as {list(operation.told)}")
        if operation.status == "needs_review" and not self._may_need_review(operation):
            self.found.wrongly_reviewed.append(operation.shown)
        if set(operation.answers) - {operation.id}:
            self.found.keys.append(f"{operation.shown} answered {operation.answers}")
        if operation.status == "failed" and self.of_operation[operation.id]:
            self.found.not_wished.append(f"{operation.shown} had effect {self.of_operation[operation.id]}")

    def _may_need_review(self, operation: Wished) -> bool:
        return operation.kind == "create" and operation.entity in self.may_need_review

    def _create(self, operation: Wished) -> None:
        """Once in the journal, and once among the objects, which are counted apart from each other."""
        made = len(self.of_operation[operation.id])
        standing = [
            number
            for (table, number), one in self.objects.items()
            if table == operation.table and one.get(operation.at) == operation.marker
        ]
        if made > 1 or len(standing) > 1:
            self.found.duplicates.append(f"{operation.shown} was made {made} times; there are {standing}")
        if operation.status == "succeeded" and (made == 0 or standing != [operation.record]):
            self.found.lost.append(f"{operation.shown} was made {made} times; there are {standing}")
        if operation.status == "failed" and standing:
            self.found.not_wished.append(f"{operation.shown} stands there as {standing}")

    def _update(self, operation: Wished) -> None:
        if operation.status == "succeeded" and not self.of_operation[operation.id]:
            self.found.lost.append(f"{operation.shown} never had an effect")

    # --- one record -----------------------------------------------------------------------------------------------

    def _in_order(self, record: tuple[str, str], operations: Sequence[Wished]) -> None:
        """Everything an operation did lies before anything the next one did."""
        latest, by = 0, ""
        for operation in operations:
            mine = self.of_operation[operation.id]
            if mine and min(mine) < latest:
                self.found.disordered.append(f"{record}: {operation.shown} had effect {mine}, {by} at {latest}")
            if mine and max(mine) > latest:
                latest, by = max(mine), operation.shown

    def _as_left(self, record: tuple[str, str], operations: Sequence[Wished]) -> None:
        """The object is what the last operation that had its way made of it."""
        done = [one for one in operations if one.status == "succeeded"]
        there = self.objects.get(record)
        if there is None:
            self.found.lost += [f"{one.shown}: there is no such object" for one in done if one.kind != "create"]
            return
        deleted = [one for one in done if one.kind == "delete"]
        if bool(deleted) != (there.get("deletedAt") is not None):
            (self.found.lost if deleted else self.found.not_wished).append(f"{record}: deletedAt {there['deletedAt']}")
        for words, found in _last_words(operations, there):
            if not any(found == one.marker or found in one.leads_to for one in words):
                self.found.lost.append(f"{words[0].shown}: {found!r} stands there")


_EFFECTS = {"create": "created", "update": "updated", "action": "updated", "delete": "deleted"}


def _last_words(operations: Sequence[Wished], there: Mapping[str, Any]) -> Iterator[tuple[Sequence[Wished], Any]]:
    """Of each field, and of the status: the last operation that succeeded and those after it that are in doubt, any of
    which may have had the last word, with what is found now."""
    last: dict[str, list[Wished]] = {}
    for one in operations:
        name = "status" if one.kind == "action" else one.at
        if name and one.status == "succeeded":
            last[name] = [one]
        elif name in last and one.status != "failed":
            last[name].append(one)
    return ((words, there.get(name)) for name, words in last.items())


def _difference(here: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> str:
    """In which of the system's values the copy differs; what the copy has besides is its own."""
    if here is None or there is None:
        return "" if here is there else f"the copy {'lacks it' if here is None else 'still has it'}"
    names = [name for name in there if here.get(name) != there[name]]
    return "; ".join(f"{name}: {here.get(name)!r} here, {there[name]!r} there" for name in names)
