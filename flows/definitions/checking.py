"""Reads a definition, or says all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

from pydantic import ValidationError

from core.errors import FieldError, ValidationFailedError
from core.json import dumps
from flows.definitions.event_types import EVENT_TYPES
from flows.definitions.expression_checks import check_expressions
from flows.definitions.form_errors import form_errors
from flows.definitions.meaning import check_meaning
from flows.definitions.model import MAX_DEFINITION_BYTES, Definition

__all__ = ["MAX_ERRORS", "read_definition"]

MAX_ERRORS = 50


def read_definition(data: Any, event_types: Collection[str] = EVENT_TYPES) -> Definition:
    """The definition that `data` (read from JSON) is. Types of events are those given and `custom...`.

    Errors: ValidationFailedError with pointers into the definition, at most 50. What stands in it is looked at once its
    form is right.
    """
    _refuse_large(data)
    try:
        definition = Definition.model_validate(data, strict=True)
    except ValidationError as error:
        raise _refused(form_errors(error)) from None
    found = [*islice(check_meaning(definition, event_types), MAX_ERRORS)]
    found += islice(check_expressions(definition), MAX_ERRORS - len(found))
    if found:
        raise _refused(found)
    return definition


def _refuse_large(data: Any) -> None:
    try:
        size = len(dumps(data).encode())
    except (TypeError, ValueError, RecursionError) as error:
        detail = "It is nested too deep, or is no JSON."
        raise _refused([FieldError("", "INVALID_JSON", detail)]) from error
    if size > MAX_DEFINITION_BYTES:
        detail = f"The definition has {size} bytes; at most {MAX_DEFINITION_BYTES} are accepted."
        raise _refused([FieldError("", "TOO_LARGE", detail)])


def _refused(errors: list[FieldError]) -> ValidationFailedError:
    first = errors[0]
    return ValidationFailedError(
        f"{first.pointer}: {first.detail}".removeprefix(": "), errors=tuple(errors[:MAX_ERRORS])
    )
