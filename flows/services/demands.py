"""What a flow does, as scopes: who sets it to work by a token must hold them."""

from __future__ import annotations

from dataclasses import dataclass

from flows.definitions.model import Definition, EventTrigger, Wait
from flows.definitions.walking import scopes_needed, walk
from workspaces.choices import Scope
from workspaces.scopes import scope_of_entity

__all__ = ["TRIGGER", "Demand", "demands_of"]

TRIGGER = "trigger"


@dataclass(frozen=True)
class Demand:
    """A scope, and what asks for it: a step's name, or `trigger`."""

    scope: str
    by: str


def demands_of(definition: Definition) -> list[Demand]:
    """Of its trigger, then of its steps."""
    waits = [step for _, step, _ in walk(definition) if isinstance(step, Wait) and step.event is not None]
    steps = [Demand(scope, name) for scope, name in scopes_needed(definition).items()]
    return [*_of_trigger(definition), *steps, *(Demand(str(Scope.EVENTS_READ), step.name) for step in waits)]


def _of_trigger(definition: Definition) -> list[Demand]:
    """Events tell what happens in the workspace, and those of records bring the record along."""
    trigger = definition.trigger
    if not isinstance(trigger, EventTrigger):
        return []
    scopes = [str(Scope.EVENTS_READ)]
    if any(name.startswith("record.") for name in trigger.types):
        of_entities = [scope_of_entity(Scope.RECORDS_READ, entity) for entity in trigger.entities]
        scopes += of_entities or [str(Scope.RECORDS_READ)]
    return [Demand(scope, TRIGGER) for scope in scopes]
