"""How a tenant declares what it keeps, and the check of a written body against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from integrations.simulators.kit.clock import normalised

# Says whether an object of that entity is there and not deleted.
Exists = Callable[[str, int], bool]


@dataclass(frozen=True)
class Field:
    """One writable field.

    kind: text, integer, number, boolean, time, object, array, labels (text by label) or reference (an id of `target`);
    `ids` is an array of references.
    """

    name: str
    kind: str = "text"
    required: bool = False
    nullable: bool = True
    choices: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True)
class Entity:
    """One kind of object. `name` is also the last part of its path."""

    name: str
    singular: str
    plural: str
    fields: tuple[Field, ...] = ()
    # Always in a list's rows; None lists whole objects.
    listed: tuple[str, ...] | None = None
    # Name in the request -> field that is then in a list's row too.
    expand: dict[str, str] = field(default_factory=dict)
    # Name in the request -> (new field, field with the id, entity): the object itself in place of its id.
    embed: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    sorts: tuple[str, ...] = ("id",)
    # Fields with a range filter, such as updatedAt[gte].
    ranges: tuple[str, ...] = ()
    # Query parameter -> field compared with its values.
    filters: dict[str, str] = field(default_factory=dict)
    writable: bool = True
    created_field: str = "createdAt"
    updated_field: str = "updatedAt"
    deleted_field: str = "deletedAt"

    def __getitem__(self, name: str) -> Field:
        return next(one for one in self.fields if one.name == name)


@dataclass(frozen=True)
class Problem:
    message: str
    field: str | None = None
    value: Any = None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    try:
        return bool(normalised(value))
    except (AttributeError, TypeError, ValueError):
        return False


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(text is None or isinstance(text, str) for text in value.values())


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "text": (lambda value: isinstance(value, str), "a string"),
    "integer": (_is_integer, "an integer"),
    "reference": (_is_integer, "an integer"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "a boolean"),
    "time": (_is_time, "an ISO 8601 date-time"),
    "object": (lambda value: isinstance(value, dict), "an object"),
    "array": (lambda value: isinstance(value, list), "an array"),
    "ids": (lambda value: isinstance(value, list) and all(map(_is_integer, value)), "an array of integers"),
    "labels": (_is_labels, "an object of strings"),
}


def checked(
    fields: Iterable[Field], body: dict[str, Any], exists: Exists, *, creating: bool
) -> tuple[dict[str, Any], list[Problem]]:
    """The known fields of `body` with times normalised, and what is wrong with them. Unknown fields are left out."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for one in fields:
        if one.name not in body:
            if one.required and creating:
                problems.append(Problem(f"{one.name} is required", one.name))
            continue
        value = body[one.name]
        if problem := _problem_of(one, value, exists):
            problems.append(problem)
        else:
            values[one.name] = normalised(value) if one.kind == "time" and value is not None else value
    return values, problems


def _problem_of(one: Field, value: Any, exists: Exists) -> Problem | None:
    if value is None:
        return None if one.nullable and not one.required else Problem(f"{one.name} must not be null", one.name)
    fits, wanted = KINDS[one.kind]
    if not fits(value):
        return Problem(f"{one.name} must be {wanted}", one.name, value)
    if one.required and isinstance(value, str) and not value.strip():
        return Problem(f"{one.name} must not be empty", one.name, value)
    if one.choices and value not in one.choices:
        return Problem(f"{one.name} must be one of {', '.join(one.choices)}", one.name, value)
    ids = [value] if one.kind == "reference" else value if one.kind == "ids" else []
    missing = next((number for number in ids if not exists(one.target, number)), None)
    return None if missing is None else Problem(f"{one.name}: {missing} does not exist", one.name, missing)
