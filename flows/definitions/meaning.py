"""What a definition of the right form must still be: names that lead somewhere, limits, values that can be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from core.errors import FieldError
from core.http.messages import RESERVED_HEADERS
from core.json import pointer
from flows.definitions.event_types import is_choice_of_types
from flows.definitions.model import (
    MAX_FOR_EACH_NESTING,
    MAX_NESTING,
    MAX_STEPS,
    MAX_WAIT_SECONDS,
    Definition,
    EventTrigger,
    EventWait,
    ForEach,
    GetRecord,
    HookTrigger,
    HttpRequest,
    ListRecords,
    ScheduleTrigger,
    StepBase,
    Wait,
)
from flows.definitions.schedule import check_schedule
from flows.definitions.walking import Place, connections_of, places
from flows.definitions.words import did_you_mean, shown
from flows.expressions.templates import LITERAL, MARK
from integrations.entities import ENTITIES, FieldSpec

__all__ = ["check_meaning", "filters_of"]

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}")
_HOP_BY_HOP = RESERVED_HEADERS | {"keep-alive", "proxy-authenticate", "proxy-connection"}
_RANGES = ("date", "datetime")


def check_meaning(definition: Definition, event_types: Collection[str]) -> Iterator[FieldError]:
    """All that is wrong but expressions, in the order it stands."""
    yield from _trigger(definition, event_types)
    found = places(definition)
    if len(found) > MAX_STEPS:
        yield FieldError("/steps", "TOO_MANY_STEPS", f"A flow has at most {MAX_STEPS} steps; here are {len(found)}.")
    times = Counter(place.step.name for place in found)
    seen: set[str] = set()
    for place in found:
        if place.step.name in seen and times[place.step.name] > 1:
            detail = f"Another step is called {place.step.name!r}; each needs a name of its own in the whole flow."
            yield FieldError(f"{place.pointer}/name", "NAME_TAKEN", detail)
        seen.add(place.step.name)
        yield from _nesting(place)
        for error in _step(definition, place.step, event_types):
            yield FieldError(place.pointer + error.pointer, error.code, error.detail)


# --- triggers ---------------------------------------------------------------------------------------------------------


def _trigger(definition: Definition, event_types: Collection[str]) -> Iterator[FieldError]:
    trigger = definition.trigger
    if isinstance(trigger, ScheduleTrigger):
        for error in check_schedule(trigger.cron, trigger.zone):
            yield FieldError(f"/trigger{error.pointer}", error.code, error.detail)
    if isinstance(trigger, HookTrigger) and trigger.signature and not _HEADER.fullmatch(trigger.signature.header):
        yield FieldError("/trigger/signature/header", "INVALID_VALUE", "This is no name of a header.")
    if isinstance(trigger, EventTrigger):
        yield from _events(definition, trigger, "/trigger", event_types)
    for name, slot in definition.connections.items():
        if slot.of_trigger:
            yield from _of_trigger(trigger, name)


def _of_trigger(trigger: Any, name: str) -> Iterator[FieldError]:
    where = pointer("connections", name, "of_trigger")
    if not isinstance(trigger, EventTrigger):
        detail = "Only a flow that events start has a connection of its trigger; leave it out, and bind one."
        yield FieldError(where, "NO_TRIGGER_CONNECTION", detail)
    elif name in trigger.connections:
        detail = f"{name!r} is whichever connection the event is of; it cannot be one that events are chosen by."
        yield FieldError(pointer("trigger", "connections", trigger.connections.index(name)), "INVALID_VALUE", detail)


def _events(
    definition: Definition, chosen: EventTrigger | EventWait, at: str, event_types: Collection[str]
) -> Iterator[FieldError]:
    """Types, connections and entities that events are chosen by."""
    for place, name in enumerate(chosen.types):
        if not is_choice_of_types(name, event_types):
            detail = f"There is no event {shown(name)}. {did_you_mean(name, sorted(event_types))}"
            yield FieldError(at + pointer("types", place), "UNKNOWN_EVENT_TYPE", detail)
    for place, name in enumerate(chosen.connections):
        yield from _connection(definition, name, at + pointer("connections", place))
    for place, name in enumerate(chosen.entities):
        yield from _entity(name, at + pointer("entities", place))


# --- steps ------------------------------------------------------------------------------------------------------------


def _nesting(place: Place) -> Iterator[FieldError]:
    loops = len(place.around.for_each) + isinstance(place.step, ForEach)
    if place.around.depth > MAX_NESTING:
        yield FieldError(place.pointer, "TOO_DEEP", f"Steps stand within at most {MAX_NESTING} others.")
    elif isinstance(place.step, ForEach) and loops > MAX_FOR_EACH_NESTING:
        detail = f"At most {MAX_FOR_EACH_NESTING} for-each steps stand within each other."
        yield FieldError(place.pointer, "TOO_DEEP", detail)


def _step(definition: Definition, step: StepBase, event_types: Collection[str]) -> Iterator[FieldError]:
    """With pointers within the step."""
    if isinstance(step, Wait):
        yield from _wait(definition, step, event_types)
    else:
        for name in connections_of(step):
            yield from _connection(definition, name, "/connection")
    if (entity := getattr(step, "entity", None)) is not None:
        yield from _entity(entity, "/entity")
    if isinstance(step, ListRecords) and step.entity in ENTITIES:
        yield from _where(step)
    if isinstance(step, GetRecord) and (step.id is None) == (step.remote_id is None):
        yield FieldError("/id", "REQUIRED", "Say which record: by id or by remote_id, one of them.")
    if isinstance(step, HttpRequest):
        yield from _request(step)


def _connection(definition: Definition, name: str, at: str) -> Iterator[FieldError]:
    if name not in definition.connections:
        hint = did_you_mean(name, definition.connections)
        detail = f"There is no connection {shown(name)}; name it in `connections` first. {hint}"
        yield FieldError(at, "UNKNOWN_CONNECTION", detail)


def _entity(name: str, at: str) -> Iterator[FieldError]:
    if name not in ENTITIES:
        yield FieldError(at, "UNKNOWN_ENTITY", f"There is no entity {shown(name)}. {did_you_mean(name, ENTITIES)}")


def _where(step: ListRecords) -> Iterator[FieldError]:
    known = filters_of(step.entity)
    for name in step.where:
        if name not in known:
            title = ENTITIES[step.entity].describes.plural.replace("_", " ")
            detail = f"{title.capitalize()} are not filtered by {shown(name)}. {did_you_mean(name, known)}"
            yield FieldError(pointer("where", name), "UNKNOWN_FILTER", detail)


@cache
def filters_of(entity: str) -> tuple[str, ...]:
    """What records of the entity can be chosen by: the filters of its list in the API."""
    found = ["remote_id", "remote_modified_after", "remote_created_after"]
    for field in ENTITIES[entity].spec().filterable:
        found += _filters(field)
    return tuple(found)


def _filters(field: FieldSpec) -> list[str]:
    ranges = [f"{field.name}_from", f"{field.name}_to"] if field.kind in _RANGES else []
    by_id = [f"{field.name}_remote_id"] if field.kind == "reference" else []
    return [*([field.name] if field.kind != "datetime" else []), *by_id, *ranges]


def _wait(definition: Definition, step: Wait, event_types: Collection[str]) -> Iterator[FieldError]:
    given = [name for name in ("seconds", "until", "event") if getattr(step, name) is not None]
    if len(given) != 1:
        said = f"here are {' and '.join(given)}" if given else "here is none"
        yield FieldError("", "ONE_OF", f"A wait has one of seconds, until and event; {said}.")
    if step.event is not None:
        yield from _events(definition, step.event, "/event", event_types)
    if not (step.seconds is None or _is_expression(step.seconds) or _is_duration(step.seconds)):
        yield FieldError("/seconds", "INVALID_VALUE", f"Use a number from 0 to {MAX_WAIT_SECONDS}, or an expression.")
    if not (step.until is None or _is_expression(step.until) or _is_time(step.until)):
        yield FieldError("/until", "INVALID_VALUE", "Use a time with its zone, such as 2026-03-01T08:00:00Z.")


def _request(step: HttpRequest) -> Iterator[FieldError]:
    if not _is_expression(step.url) and not re.match(r"https?://[^/\s]", step.url if isinstance(step.url, str) else ""):
        yield FieldError("/url", "INVALID_VALUE", "Use an address that begins with https:// or http://.")
    plain = {name.lower() for name in step.headers}
    named: list[tuple[str, Mapping[str, Any]]] = [("headers", step.headers), ("secret_headers", step.secret_headers)]
    for member, headers in named:
        for name in headers:
            if name in (MARK, LITERAL):
                continue
            if not _HEADER.fullmatch(name):
                yield FieldError(pointer(member, name), "INVALID_HEADER", "This is no name of a header.")
            elif name.lower() in _HOP_BY_HOP:
                detail = f"{name} is set by Lineshaft itself; it cannot be given."
                yield FieldError(pointer(member, name), "INVALID_HEADER", detail)
            elif member == "secret_headers" and name.lower() in plain:
                yield FieldError(pointer(member, name), "INVALID_HEADER", f"{name} stands in headers as well.")


def _is_expression(value: Any) -> bool:
    return isinstance(value, dict) and MARK in value


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_WAIT_SECONDS


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
