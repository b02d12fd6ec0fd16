"""A definition's steps in order: where each stands, what is around it, and which steps are done before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from core.json import pointer
from flows.definitions.model import (
    WRITES,
    Condition,
    Definition,
    Emit,
    ForEach,
    GetRecord,
    ListRecords,
    OnError,
    StepBase,
    Wait,
)

__all__ = ["Found", "Place", "Surroundings", "connections_of", "find_step", "places", "scopes_needed", "walk"]


class Found(NamedTuple):
    """A step, its JSON pointer in the definition, and the names of the for-eaches around it, outermost first."""

    pointer: str
    step: StepBase
    for_each: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings:
    """What holds where a step stands.

    `depth`: how many steps are around it. `done`: names of the steps that may be done before it and that it sees: those
    before it in its own for-each item and in what is around that. `sees_error`: it is done because another one failed.
    """

    for_each: tuple[str, ...] = ()
    depth: int = 0
    done: frozenset[str] = frozenset()
    sees_error: bool = False


@dataclass(frozen=True)
class Place:
    """A step where it stands."""

    pointer: str
    step: StepBase
    around: Surroundings


def walk(definition: Definition) -> Iterator[Found]:
    """Every step, those inside others too, in the order they stand in: a step before what is inside of it."""
    for place in places(definition):
        yield Found(place.pointer, place.step, place.around.for_each)


def places(definition: Definition) -> list[Place]:
    """As `walk`, with what holds at each step."""
    found: list[Place] = []
    _collect(definition.steps, "/steps", Surroundings(), found)
    return found


def find_step(definition: Definition, name: str) -> Found | None:
    """The step of this name, wherever it stands."""
    return next((found for found in walk(definition) if found.step.name == name), None)


def connections_of(step: StepBase) -> tuple[str, ...]:
    """Names of the connections that the step itself works with, not what is inside of it."""
    if isinstance(step, (ListRecords, GetRecord, *WRITES)):
        return (step.connection,)
    if isinstance(step, Emit):
        return (step.connection,) if step.connection else ()
    if isinstance(step, Wait) and step.event is not None:
        return tuple(step.event.connections)
    return ()


def scopes_needed(definition: Definition) -> dict[str, str]:
    """What a token must hold for what the steps do: `records.<entity>:read|write` -> name of the first step that does."""
    needed: dict[str, str] = {}
    for found in walk(definition):
        if isinstance(found.step, WRITES):
            needed.setdefault(f"records.{found.step.entity}:write", found.step.name)
        elif isinstance(found.step, ListRecords | GetRecord):
            needed.setdefault(f"records.{found.step.entity}:read", found.step.name)
    return needed


def _collect(steps: Sequence[StepBase], at: str, around: Surroundings, found: list[Place]) -> frozenset[str]:
    """Add these steps and what is inside of them. Returns the names that are seen after them."""
    for number, step in enumerate(steps):
        where = at + pointer(number)
        found.append(Place(where, step, around))
        inner = _collect_inside(step, where, replace(around, depth=around.depth + 1), found)
        if isinstance(step.on_error, OnError):
            failed = replace(around, depth=around.depth + 1, done=around.done | inner, sees_error=True)
            inner |= _collect(step.on_error.steps, f"{where}/on_error/steps", failed, found)
        around = replace(around, done=around.done | inner | {step.name})
    return around.done


def _collect_inside(step: StepBase, where: str, inside: Surroundings, found: list[Place]) -> frozenset[str]:
    """Returns the names inside that are seen after the step: of both branches, but none of a for-each."""
    if isinstance(step, Condition):
        then = _collect(step.then, f"{where}/then", inside, found)
        return then | _collect(step.else_, f"{where}/else", inside, found)
    if isinstance(step, ForEach):
        _collect(step.steps, f"{where}/steps", replace(inside, for_each=(*inside.for_each, step.name)), found)
    return frozenset()
