"""Secrets that are one text or a JSON object of texts: taking one field, changing one field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import ValidationFailedError
from core.json import loads_strict
from core.secret_stores.errors import StoreMissingError
from core.secret_stores.references import Reference


def field_of(reference: Reference, fields: Mapping[str, Any]) -> str:
    """The text under the reference's field, or StoreMissingError."""
    value = fields.get(reference.field)
    if not isinstance(value, str) or not value:
        raise StoreMissingError(f"{reference}: the secret is there, but has no text under {reference.field}.")
    return value


def object_of(reference: Reference, text: str) -> dict[str, Any]:
    """The JSON object that the secret's text is, or StoreMissingError."""
    try:
        found = loads_strict(text.encode())
    except ValidationFailedError as error:
        raise StoreMissingError(f"{reference}: the secret is no JSON object, so it has no fields.") from error
    if not isinstance(found, dict):
        raise StoreMissingError(f"{reference}: the secret is no JSON object, so it has no fields.")
    return found


def whole_text(reference: Reference, text: Any) -> str:
    """The text itself, or StoreMissingError when it is empty or none."""
    if not isinstance(text, str) or not text:
        raise StoreMissingError(f"{reference}: the secret is there, but holds no text.")
    return text
