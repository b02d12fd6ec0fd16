"""Templates: any JSON in which each object {"$": "<expression>"} stands for the expression's value.

{"$literal": value} stands for the value as it is, whatever is in it: for data that itself has a key "$". All other keys are
plain data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from flows.expressions.errors import INVALID
from flows.expressions.language import check_expression

MARK, LITERAL = "$", "$literal"
_RULE = 'an object with "{}" has no other keys{}; data that has this key is written {{"$literal": ...}}'


@dataclass(frozen=True)
class Place:
    """Where an expression stands: `path` leads to it from the template."""

    path: tuple[str | int, ...]
    text: str

    @property
    def pointer(self) -> str:
        return pointer(*self.path)


def check_template(template: Any, pointer: str) -> None:
    """Check every expression in a template. Raises ValidationFailedError with a FieldError for each that is wrong.

    Pointers begin with `pointer`, which is that of the template.
    """
    errors: list[FieldError] = []
    for place in places_of(template):
        try:
            if isinstance(place, FieldError):
                raise ValidationFailedError(place.detail, errors=(place,))
            check_expression(place.text, place.pointer)
        except ValidationFailedError as error:
            errors += (FieldError(pointer + found.pointer, found.code, found.detail) for found in error.errors)
    if errors:
        raise ValidationFailedError(f"The template cannot be used: {errors[0].detail}.", errors=tuple(errors))


def places_of(template: Any) -> Iterator[Place | FieldError]:
    """Each expression in a template, in order, and what is no template."""
    return _places(template, ())


def filled(template: Any, values: Iterator[Any]) -> Any:
    """The template with its expressions replaced by the values, which come in the order of `places_of`."""
    if isinstance(template, Mapping):
        if MARK in template:
            return next(values)
        if LITERAL in template:
            return template[LITERAL]
        return {key: filled(part, values) for key, part in template.items()}
    if isinstance(template, list | tuple):
        return [filled(part, values) for part in template]
    return template


def _places(template: Any, path: tuple[str | int, ...]) -> Iterator[Place | FieldError]:
    if isinstance(template, Mapping):
        if MARK in template:
            text = template[MARK]
            if len(template) == 1 and isinstance(text, str):
                yield Place((*path, MARK), text)
            else:
                yield FieldError(pointer(*path), INVALID, _RULE.format(MARK, ", and an expression as its value"))
        elif LITERAL in template:
            if len(template) > 1:
                yield FieldError(pointer(*path), INVALID, _RULE.format(LITERAL, ""))
        else:
            for key, part in template.items():
                yield from _places(part, (*path, key))
    elif isinstance(template, list | tuple):
        for index, part in enumerate(template):
            yield from _places(part, (*path, index))
