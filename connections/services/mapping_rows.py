"""Mapping rows as people send them: read strictly, each fault with a pointer to its row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from integrations.entities.spec import EntitySpec
from integrations.sdk.mapping import MappingRow, compile_mapping
from integrations.sdk.shapes import CUSTOM_TYPES
from integrations.sdk.transform_parameters import wrong_parameters

MAX_ROWS = 200
_CUSTOM = re.compile(r"custom\.[A-Za-z][A-Za-z0-9_]{0,59}")
_TYPES: dict[str, tuple[type, str]] = {
    "target": (str, "a text"),
    "source": (str, "a text"),
    "name_source": (str, "a text"),
    "transforms": (list, "a list of objects"),
    "items": (list, "a list of rows"),
    "read_only": (bool, "true or false"),
    "write": (str, "a text"),
    "type": (str, "a text"),
    "title": (str, "a text"),
}
_MAY_BE_NULL = frozenset({"name_source", "write", "type", "title"})
_OF_CUSTOM_ONLY = ("type", "title")
MAX_TITLE = 80


def read_definitions(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Target -> stored definition, {} for a row that leaves its target out.

    Errors: ValidationFailedError naming every row that has not the shape of one.
    """
    if len(rows) > MAX_ROWS:
        raise _failed([FieldError("/rows", "TOO_MANY_ROWS", f"A mapping has at most {MAX_ROWS} rows.")])
    errors = [error for number, row in enumerate(rows) for error in _check_row(row, ("rows", number))]
    if errors := errors or _twice(rows):
        raise _failed(errors)
    return {row["target"]: {} if set(row) == {"target"} else _definition(row) for row in rows}


def _twice(rows: list[dict[str, Any]]) -> list[FieldError]:
    """Rows whose target an earlier one has."""
    targets = [row["target"] for row in rows]
    return [
        FieldError(pointer("rows", number, "target"), "DUPLICATE_TARGET", f"{target} stands twice.")
        for number, target in enumerate(targets)
        if target in targets[:number]
    ]


def compile_rows(
    spec: EntitySpec, definitions: Mapping[str, Mapping[str, Any]], *, connection_id: UUID, zone: str
) -> None:
    """Compile each row by itself, so that the error points at it.

    Errors: ValidationFailedError naming every row that cannot be used, with what there is instead.
    """
    errors = []
    for number, (target, definition) in enumerate(definitions.items()):
        row = MappingRow.from_json({"target": target, **definition})
        try:
            if target.startswith("custom.") and not _CUSTOM.fullmatch(target):
                raise ValidationFailedError(
                    "A custom field is `custom.` and letters, digits or _, at most 60 characters."
                )
            compile_mapping(spec, [row], connection_id=connection_id, zone=zone)
        except ValidationFailedError as error:
            code = error.errors[0].code if error.errors else "INVALID_TARGET"
            errors.append(FieldError(pointer("rows", number), code, error.detail))
    if errors:
        raise _failed(errors)


def _definition(row: Mapping[str, Any]) -> dict[str, Any]:
    definition = MappingRow.from_json(row).as_json()
    del definition["target"]
    return definition


def _check_row(row: Any, path: tuple[str | int, ...]) -> list[FieldError]:
    if not isinstance(row, dict):
        return [FieldError(pointer(*path), "INVALID_ROW", "A row is an object with `target` and `source`.")]
    errors = []
    for name, value in row.items():
        if name not in _TYPES:
            errors.append(FieldError(pointer(*path, name), "UNKNOWN_FIELD", f"A row has {', '.join(_TYPES)}."))
        elif not isinstance(value, _TYPES[name][0]) and not (value is None and name in _MAY_BE_NULL):
            errors.append(FieldError(pointer(*path, name), "WRONG_TYPE", f"Must be {_TYPES[name][1]}."))
    if not row.get("target"):
        errors.append(FieldError(pointer(*path, "target"), "REQUIRED", "Name the field that this row makes."))
    elif isinstance(row["target"], str) and len(row["target"]) > 120:
        errors.append(FieldError(pointer(*path, "target"), "TOO_LONG", "At most 120 characters."))
    return errors or [*_check_transforms(row, path), *_check_custom(row, path), *_check_items(row, path)]


def _check_custom(row: Mapping[str, Any], path: tuple[str | int, ...]) -> list[FieldError]:
    if not row["target"].startswith("custom."):
        detail = "Only custom fields have one; a field of the entity has its own."
        return [FieldError(pointer(*path, name), "CUSTOM_ONLY", detail) for name in _OF_CUSTOM_ONLY if row.get(name)]
    errors = []
    if row.get("type") and row["type"] not in CUSTOM_TYPES:
        errors.append(FieldError(pointer(*path, "type"), "UNKNOWN_TYPE", f"Use one of {', '.join(CUSTOM_TYPES)}."))
    if len(row.get("title") or "") > MAX_TITLE:
        errors.append(FieldError(pointer(*path, "title"), "TOO_LONG", f"At most {MAX_TITLE} characters."))
    if row.get("items"):
        errors.append(FieldError(pointer(*path, "items"), "NO_ITEMS", "A custom field has no rows inside."))
    return errors


def _check_transforms(row: Mapping[str, Any], path: tuple[str | int, ...]) -> list[FieldError]:
    errors: list[FieldError] = []
    for number, transform in enumerate(row.get("transforms", ())):
        at = (*path, "transforms", number)
        if isinstance(transform, dict):
            errors += wrong_parameters(transform, at)
        else:
            errors.append(FieldError(pointer(*at), "WRONG_TYPE", "A transform is an object with a `name`."))
    return errors


def _check_items(row: Mapping[str, Any], path: tuple[str | int, ...]) -> list[FieldError]:
    """Rows inside a row; objects inside objects inside lists are as deep as entities go."""
    if len(path) > 6:
        return [FieldError(pointer(*path), "TOO_DEEP", "Rows are nested too deeply.")]
    return [
        error
        for number, item in enumerate(row.get("items", ()))
        for error in _check_row(item, (*path, "items", number))
    ]


def _failed(errors: list[FieldError]) -> ValidationFailedError:
    first = errors[0]
    detail = f"{first.pointer}: {first.detail}" if len(errors) == 1 else f"{len(errors)} mapping rows cannot be used."
    return ValidationFailedError(detail, code="MAPPING_INVALID", errors=tuple(errors))
