"""Drafts read: a definition as somebody sent it, and what is wrong with it told by where it stood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.errors import ValidationFailedError
from flows.definitions.checking import read_definition
from flows.definitions.model import Definition

__all__ = ["read_draft"]


def read_draft(data: Any, *, at: str = "/definition") -> Definition:
    """The definition. Errors: ValidationFailedError with pointers below `at`, such as /definition/steps/0/entity."""
    try:
        return read_definition(data)
    except ValidationFailedError as error:
        errors = tuple(replace(one, pointer=at + one.pointer) for one in error.errors)
        raise ValidationFailedError(error.detail, errors=errors) from error
