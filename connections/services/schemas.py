"""Request bodies of writes against what may be written: every wrong value is named, before any call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from connections.services.body_schemas import write_schema
from connections.services.cards import Card
from core.api_errors import BadRequestError
from core.errors import FieldError, ValidationFailedError
from core.json import pointer

__all__ = ["validate_body", "write_schema"]

Path = tuple[str | int, ...]
MOST_ERRORS = 50
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_FORMATS = FormatChecker(["date"])


def validate_body(card: Card, operation: str, body: Any, *, status: str | None = None, action: str = "") -> None:
    """Check the body of a create, update, delete or action against `write_schema`.

    Errors: BadRequestError (400) INVALID_BODY for what is no object, UNKNOWN_FIELD; ValidationFailedError (422) with an
    entry per wrong value: REQUIRED, FIELD_NOT_WRITABLE (also with its unchanged value), TOO_LONG, INVALID_VALUE.
    """
    if not isinstance(body, dict):
        raise BadRequestError("The body must be a JSON object.", code="INVALID_BODY")
    schema, validator = _compiled(_Key(card), operation, status, action)
    unknown = tuple(_unknown(schema, body, ()))[:MOST_ERRORS]
    if unknown:
        names = ", ".join(error.pointer for error in unknown[:10])
        raise BadRequestError(f"Unknown field: {names}. {unknown[0].detail}", code="UNKNOWN_FIELD", errors=unknown)
    errors = [*_refused(schema, body, ()), *_twice(schema, body)]
    refused = {error.pointer for error in errors}
    for found in validator.iter_errors(body):
        if len(errors) >= MOST_ERRORS:
            break
        errors += [error for error in _told(found) if not _is_below(error.pointer, refused)]
    if errors:
        raise ValidationFailedError(_summary(errors), errors=tuple(dict.fromkeys(errors)))


class _Key:
    """A card by its digest: equal ones share their compiled validators."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def __hash__(self) -> int:
        return hash(self.card.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.card.digest == self.card.digest


@lru_cache(maxsize=256)
def _compiled(key: _Key, operation: str, status: str | None, action: str) -> tuple[dict[str, Any], Any]:
    schema = write_schema(key.card, operation, status=status, action=action)
    return schema, Draft202012Validator(schema, format_checker=_FORMATS)


@_FORMATS.checks("date-time", raises=(ValueError, OverflowError))
def _is_moment(value: object) -> bool:
    """A time with its zone, which can be shown in any other."""
    if not isinstance(value, str):
        return True
    return bool(_MOMENT.fullmatch(value)) and 1 < datetime.fromisoformat(value).astimezone(UTC).year < 9999


# --- walked: what no JSON Schema says so that people understand it ------------------------------------------------------


def _inside(schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Any, Path]]:
    """(schema, value, path) of everything one level deeper that is an object or inside of one."""
    if isinstance(value, dict) and "properties" in schema:
        for name, item in value.items():
            if name in schema["properties"]:
                yield schema["properties"][name], item, (*path, name)
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield schema["items"], item, (*path, number)


def _unknown(schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[FieldError]:
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name in value:
            if name not in known:
                yield FieldError(pointer(*path, name[:100]), "UNKNOWN_FIELD", _hint(name, known))
    for inner, item, where in _inside(schema, value, path):
        yield from _unknown(inner, item, where)


def _hint(name: str, known: Mapping[str, Mapping[str, Any]]) -> str:
    close = get_close_matches(name[:100], known, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    may = sorted(field for field, schema in known.items() if not schema.get("readOnly"))
    return f"Known here: {', '.join(may) or 'none'}."


def _refused(schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[FieldError]:
    """What may not be sent; what is inside of it is not named again."""
    for inner, item, where in _inside(schema, value, path):
        if inner.get("readOnly"):
            yield FieldError(pointer(*where), "FIELD_NOT_WRITABLE", inner["x-reason"])
        else:
            yield from _refused(inner, item, where)


def _twice(schema: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[FieldError]:
    """A line that is named twice would be changed twice."""
    for name, lines in body.items():
        if not isinstance(lines, list) or "items" not in schema["properties"][name]:
            continue
        seen: set[str] = set()
        for number, line in enumerate(lines):
            line_id = line.get("id") if isinstance(line, dict) else None
            if not isinstance(line_id, str):
                continue
            if line_id in seen:
                yield FieldError(pointer(name, number, "id"), "INVALID_VALUE", f"The id {line_id[:100]} stands twice.")
            seen.add(line_id)


def _is_below(where: str, refused: set[str]) -> bool:
    return any(where == one or where.startswith(f"{one}/") for one in refused)


# --- told ---------------------------------------------------------------------------------------------------------------


def _told(error: ValidationError) -> list[FieldError]:
    path: Path = tuple(error.absolute_path)
    given: Any = error.instance
    demanded: Any = error.validator_value
    if error.validator == "required":
        missing = [name for name in demanded if name not in given]
        details = {"id": "id must be given: new ones cannot be added here."}
        return [
            FieldError(pointer(*path, name), "REQUIRED", details.get(name, f"{name} must be given."))
            for name in missing
        ]
    if error.validator == "dependentRequired":
        return [FieldError(pointer(*path, "id"), "REQUIRED", "Name by its id what is to be removed.")]
    if error.validator == "maxLength":
        detail = f"At most {demanded} characters; these are {len(given)}."
        return [FieldError(pointer(*path), "TOO_LONG", detail)]
    return [FieldError(pointer(*path), "INVALID_VALUE", _expected(error))]


def _expected(error: ValidationError) -> str:
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    given: Any = error.instance
    if error.validator == "maxItems":
        return f"At most {error.validator_value} are accepted in one write; these are {len(given)}."
    if error.validator == "maxProperties":
        return "What is removed is named by its id alone; send nothing else with `_delete`."
    if "anyOf" in schema:
        target = str(schema.get("x-target") or "object").replace("_", " ")
        return f"Name the {target} by its id or its remote id: a text, or an object with `id` or `remote_id`."
    if "enum" in schema:
        return f"Use one of: {', '.join('null' if value is None else str(value) for value in schema['enum'])}."
    if (words := _FORMAT_WORDS.get(schema.get("format", ""))) is not None:
        return words
    if "pattern" in schema:
        return 'Must be a decimal number, best as a text such as "12.50".'
    if error.validator == "minLength":
        return "Must not be empty."
    kinds = schema.get("type", [])
    return f"Must be {' or '.join(_TYPE_WORDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))}."


_FORMAT_WORDS = {
    "date": "Must be a day as YYYY-MM-DD, such as 2026-10-05.",
    "date-time": "Must be a time with its zone, such as 2026-10-05T08:00:00Z.",
}
_TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _summary(errors: list[FieldError]) -> str:
    if len(errors) == 1:
        return f"{errors[0].pointer}: {errors[0].detail}" if errors[0].pointer else errors[0].detail
    return f"{len(errors)} values are wrong; `errors` names each."
