"""`where` of a step that lists records: the filters of the API, with JSON values in place of query parameters.

A list means any of its values. Unlike in a query, a comma within a value is a comma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any
from uuid import UUID

from django.http import HttpRequest, QueryDict
from rest_framework.request import Request

from core.errors import FieldError, ValidationFailedError
from core.ids import derived_id, namespace_of, show
from core.json import pointer
from integrations.entities import ENTITIES, FieldSpec
from syncs.api.filters import MAX_FILTER_CHARACTERS, MAX_VALUES, list_parameters, selection_from
from syncs.records import Selection

# What the list of the API takes besides filters, and what a step says in words of its own.
_NOT_FILTERS = frozenset({"limit", "cursor", "include", "include_deleted", "expand", "modified_after"})
_TEXTS = ("string", "text")


def selection_of(connection_id: UUID, entity: str, where: Mapping[str, Any], changed_since: Any) -> Selection:
    """The records that are meant. Errors: ValidationFailedError with a pointer into the step for each filter that is not
    known or cannot be read; null is no value, so that an expression that finds nothing does not select everything."""
    _refuse_unknown(entity, where)
    given = {name: _values(name, value) for name, value in where.items()}
    fields = {field.name: field for field in ENTITIES[entity].spec().filterable}
    asked = QueryDict(mutable=True)
    exact: dict[str, list[str]] = {}
    for name, values in given.items():
        if (own := _exact(connection_id, fields, name, values)) is not None:
            exact |= own
        elif name != "remote_id":
            asked[name] = _joined(name, values)
    for name in exact.keys() & asked.keys():
        raise _wrong(("where", name), f"{name} and {name}_remote_id exclude each other; give one of them.")
    if changed_since is not None:
        asked["modified_after"] = _one("changed_since", ("changed_since",), changed_since)
    selection = _read(asked, entity, connection_id)
    ids = _ids(connection_id, entity, given["remote_id"]) if "remote_id" in given else None
    return replace(selection, ids=ids, any_of={**selection.any_of, **exact})


@cache
def filters_of(entity: str) -> tuple[str, ...]:
    """The names that `where` knows."""
    return tuple(found.name for found in list_parameters(ENTITIES[entity]) if found.name not in _NOT_FILTERS)


def _refuse_unknown(entity: str, where: Mapping[str, Any]) -> None:
    known = filters_of(entity)
    errors = []
    for name in where:
        if name not in known:
            close = get_close_matches(name[:100], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}."
            errors.append(FieldError(pointer("where", name[:100]), "UNKNOWN_FILTER", f"No such filter; {hint}"))
    if errors:
        names = ", ".join(error.pointer.removeprefix("/where/") for error in errors[:10])
        raise ValidationFailedError(
            f"Not a filter of {ENTITIES[entity].describes.plural.replace('_', ' ')}: {names}. {errors[0].detail}",
            code="UNKNOWN_FILTER",
            errors=tuple(errors[:50]),
        )


def _exact(
    connection_id: UUID, fields: Mapping[str, FieldSpec], name: str, values: list[str]
) -> dict[str, list[str]] | None:
    """The stored values of a filter by text or by the system's id, which may hold commas; None for another filter."""
    if name in fields and fields[name].kind in _TEXTS:
        return {name: values}
    reference = fields.get(name.removesuffix("_remote_id")) if name.endswith("_remote_id") else None
    if reference is None or reference.kind != "reference":
        return {name: []} if name in fields and not values else None
    target = ENTITIES[reference.target or ""].describes
    return {reference.name: [str(show(target.id_prefix, pk)) for pk in _ids(connection_id, target.name, values)]}


def _ids(connection_id: UUID, entity: str, values: list[str]) -> list[UUID]:
    namespace = namespace_of(connection_id, entity)
    return [derived_id(namespace, value) for value in values]


def _read(asked: QueryDict, entity: str, connection_id: UUID) -> Selection:
    """What the API reads out of the same parameters; its refusals name the field of the step."""
    plain = HttpRequest()
    plain.GET = asked  # type: ignore[assignment]  # as Django fills it in itself
    try:
        return selection_from(Request(plain), ENTITIES[entity], connection_id)
    except ValidationFailedError as error:
        name = error.errors[0].pointer.removeprefix("?") if error.errors else ""
        at = ("changed_since",) if name == "modified_after" else ("where", name)
        raise _wrong(at, error.detail.replace(f"?{name}", at[-1], 1)) from error


def _values(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES:
        raise _wrong(("where", name), f"{name} holds more than {MAX_VALUES} values.")
    return list(dict.fromkeys(_one(name, ("where", name), each) for each in values))


def _one(name: str, at: tuple[str, ...], value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        told = "is null or empty" if value in (None, "") else "must be a text or a number, or a list of these"
        raise _wrong(at, f"{name} {told}.")
    text = str(value)
    if len(text) > MAX_FILTER_CHARACTERS or "\x00" in text:
        raise _wrong(at, f"{name} is longer than {MAX_FILTER_CHARACTERS} characters, or holds a NUL character.")
    return text


def _joined(name: str, values: list[str]) -> str:
    if any("," in value for value in values):
        raise _wrong(("where", name), f"{name} holds a comma, which none of its values has.")
    return ",".join(values)


def _wrong(at: tuple[str, ...], detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, code="INVALID_FILTER", errors=(FieldError(pointer(*at), "INVALID", detail),))
