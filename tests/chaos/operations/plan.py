"""What is wished, the same for the same seed: chains of operations, each chain about one object."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connections.services import Card
from integrations.sdk.declarations import Action

# Of the chains, how many only create, begin with a create, or are about an object that was there before.
ALONE, LIFE, STANDING = 10, 4, 4
TWICE, DELETED = 0.15, 0.35


@dataclass(frozen=True)
class Form:
    """How one entity is written: `name` (of a create) and `text` (of updates), each as unified field and as the system's.

    `initial`: the source's status of a new object. `more`: further values of a create. `also`: a field that half of the
    creates give the name to as well.
    """

    name: tuple[str, str]
    text: tuple[str, str]
    initial: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    also: str = ""
    share: int = 1


@dataclass(frozen=True)
class Step:
    """One operation to be wished. `waits`: only once everything before it in its chain has ended."""

    number: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    marker: str = ""
    at: str = ""
    action: str = ""
    leads_to: Sequence[str] = ()
    twice: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Existing:
    """A record that was there before."""

    entity: str
    record_id: Any
    remote_id: str
    status: str


@dataclass(frozen=True)
class Chain:
    """Steps about one object, in order. `on`: a record that was there; None when the first step makes the object."""

    entity: str
    steps: Sequence[Step]
    on: Existing | None = None


class Planner:
    """Makes chains until `operations` steps are planned; `one_more` answers creates for what could not be wished."""

    def __init__(
        self, seed: int, forms: Mapping[str, Form], cards: Mapping[str, Card], existing: Sequence[Existing]
    ) -> None:
        self.chance = random.Random(seed)
        self.prefix = f"chaos-{seed}"
        self.forms, self.cards = forms, cards
        self.existing = sorted(existing, key=lambda one: (one.entity, one.remote_id))
        self.chance.shuffle(self.existing)
        self.planned = 0

    def plan(self, operations: int) -> list[Chain]:
        chains = []
        while (left := operations - self.planned) > 0:
            (kind,) = self.chance.choices(("alone", "life", "standing"), (ALONE, LIFE, STANDING))
            if kind == "standing" and self.existing and left >= 4:
                chains.append(self._standing())
            elif kind == "life" and left >= 5:
                chains.append(self._life())
            else:
                chains.append(self.one_more())
        return chains

    def one_more(self) -> Chain:
        """A create alone."""
        entity = self._entity()
        return Chain(entity, [self._create(entity)])

    def _entity(self) -> str:
        names = list(self.forms)
        return self.chance.choices(names, [self.forms[name].share for name in names])[0]

    def _life(self) -> Chain:
        entity = self._entity()
        first = self._create(entity)
        rest = self._changes(entity, self.forms[entity].initial, most=4)
        return Chain(entity, [first, *rest])

    def _standing(self) -> Chain:
        on = self.existing.pop()
        return Chain(on.entity, self._changes(on.entity, on.status, most=4), on)

    def _changes(self, entity: str, status: str, *, most: int) -> list[Step]:
        """One to `most` updates and actions that the object's status allows, perhaps a delete at the end."""
        steps: list[Step] = []
        for _ in range(self.chance.randint(1, most - 1)):
            action = self._action(entity, status) if self.chance.random() < 0.45 else None
            if action is None:
                steps.append(self._update(entity))
            else:
                status = action.to_status[0]
                steps.append(self._do(action))
        if self.chance.random() < DELETED and self._may_delete(entity, status):
            steps.append(self._step("delete", waits=any(step.waits for step in steps)))
        return steps

    def _action(self, entity: str, status: str) -> Action | None:
        """An action that leads somewhere else from here, and takes nothing it must be told."""
        fitting = [
            action
            for action in self.cards[entity].resource.actions
            if self.cards[entity].action(action.name, status or None) is None
            and status not in action.to_status
            and not any(parameter.required for parameter in action.parameters)
            and len(action.to_status) == 1
        ]
        return self.chance.choice(fitting) if fitting else None

    def _may_delete(self, entity: str, status: str) -> bool:
        return self.cards[entity].operation("delete", status or None) is None

    def _create(self, entity: str) -> Step:
        form, marker = self.forms[entity], self._marker("made")
        body = {form.name[0]: marker, **form.more}
        if form.also and self.chance.random() < 0.5:
            body[form.also] = marker
        return self._step("create", body, marker=marker, at=form.name[1])

    def _update(self, entity: str) -> Step:
        form, marker = self.forms[entity], self._marker("changed")
        return self._step("update", {form.text[0]: marker}, marker=marker, at=form.text[1])

    def _do(self, action: Action) -> Step:
        # What may be done is judged by the copy at once: the status it needs must have been reached.
        return self._step("action", action=action.name, leads_to=action.to_status, waits=bool(action.only_status))

    def _marker(self, word: str) -> str:
        return f"{self.prefix}-{word}-{self.planned + 1:05}-"

    def _step(self, kind: str, body: Mapping[str, Any] | None = None, **facts: Any) -> Step:
        self.planned += 1
        return Step(self.planned, kind, body or {}, twice=self.chance.random() < TWICE, **facts)
