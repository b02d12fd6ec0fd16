"""Request bodies are read strictly: a field nobody asked for is a mistake of the caller, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from core.api_errors import BadRequestError
from core.errors import FieldError
from core.json import pointer

Plain = serializers.Serializer[Any]
"""A serializer of an answer, for the API's description."""


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer of a request body: unknown fields, at any depth it declares, are 400 UNKNOWN_FIELD.

    Wrong values of known fields are 422 as ever: `serializer.is_valid(raise_exception=True)`.
    """

    def run_validation(self, data: Any = empty) -> Any:
        if self.parent is None:
            if not isinstance(data, dict):
                raise BadRequestError("The body must be a JSON object.", code="INVALID_BODY")
            _refuse_unknown(self, data)
        return super().run_validation(data)


def _refuse_unknown(serializer: serializers.BaseSerializer[Any], data: dict[str, Any]) -> None:
    errors = tuple(_unknown(serializer, data, ()))[:50]
    if errors:
        names = ", ".join(error.pointer for error in errors[:10])
        raise BadRequestError(f"Unknown field: {names}. {errors[0].detail}", code="UNKNOWN_FIELD", errors=errors)


def _unknown(field: Any, data: Any, path: tuple[str | int, ...]) -> Iterator[FieldError]:
    if isinstance(field, serializers.ListSerializer) and isinstance(data, list):
        for index, item in enumerate(data):
            yield from _unknown(field.child, item, (*path, index))
    elif isinstance(field, serializers.Serializer) and isinstance(data, dict):
        known = {name: child for name, child in field.fields.items() if not child.read_only}
        for name, item in data.items():
            if name in known:
                yield from _unknown(known[name], item, (*path, name))
            else:
                yield FieldError(pointer(*path, name[:100]), "UNKNOWN_FIELD", _hint(name, field, list(known)))


def _hint(name: str, serializer: serializers.Serializer[Any], known: list[str]) -> str:
    if name in serializer.fields:
        return f"{name} is set by us and cannot be sent."
    close = get_close_matches(name[:100], known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(sorted(known)) or 'none'}."
