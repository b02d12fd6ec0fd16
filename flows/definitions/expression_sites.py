"""Where expressions stand in a definition, and what they see there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import FieldError
from core.json import pointer
from flows.definitions.model import Definition, EventTrigger, ForEach, StepBase, Wait
from flows.definitions.walking import Place, places
from flows.expressions.templates import places_of

__all__ = ["Site", "sites"]

_ALWAYS = frozenset(["trigger", "steps", "run", "connections"])


@dataclass(frozen=True)
class Site:
    """An expression, or why there is none in a template. `names`: what it sees at the top; `steps`: of which steps."""

    pointer: str
    text: str | FieldError
    names: frozenset[str]
    steps: frozenset[str] = frozenset()


def sites(definition: Definition) -> Iterator[Site]:
    """Every expression, in the order they stand."""
    trigger, sees = definition.trigger, frozenset(["trigger"])
    if isinstance(trigger, EventTrigger) and trigger.filter is not None:
        yield Site("/trigger/filter", trigger.filter, sees)
    if definition.key is not None:
        yield Site("/key", definition.key, sees)
    for place in places(definition):
        names = _names_at(place)
        for where, text, more in _of_step(place.step):
            yield Site(place.pointer + where, text, names | more, place.around.done)


def _names_at(place: Place) -> frozenset[str]:
    inside = ["item", "index", "item_version"] if place.around.for_each else []
    return _ALWAYS | {*inside, *(["error"] if place.around.sees_error else [])}


def _of_step(step: StepBase) -> Iterator[tuple[str, str | FieldError, frozenset[str]]]:
    """(pointer within the step, expression, what it sees besides)."""
    nothing: frozenset[str] = frozenset()
    if step.when is not None:
        yield "/when", step.when, nothing
    for name in step.EXPRESSIONS:
        yield pointer(name.rstrip("_")), getattr(step, name), nothing
    for name in step.TEMPLATES:
        for found in places_of(getattr(step, name)):
            text = found if isinstance(found, FieldError) else found.text
            yield pointer(name) + found.pointer, text, nothing
    if isinstance(step, ForEach) and step.key is not None:
        yield "/key", step.key, frozenset(["item", "index"])
    if isinstance(step, Wait) and step.event is not None and step.event.filter is not None:
        yield "/event/filter", step.event.filter, frozenset(["event"])
