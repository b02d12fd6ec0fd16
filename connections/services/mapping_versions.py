"""Versions of a connection's override: listed, compared field by field, brought back, carried to another connection."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Count
from django_scopes import scope

from connections.models import Connection, Mapping
from connections.services.mappings import (
    Definitions,
    Publication,
    check_rows,
    current_override,
    definitions_of,
    ensure_default_mapping,
    publish,
)
from connections.services.opening import connector_of
from core.errors import FieldError, NotFoundError, ValidationFailedError

FORMAT = "lineshaft.mapping/1"
MOST_VERSIONS = 200
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Difference:
    """How one field is made before and after: rows as stored without what is empty, None where nothing makes it.

    `parts`: which parts of a row that stands in both differ, such as `source`.
    """

    target: str
    kind: Kind
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A version and how many rows it has; none: the connector's default alone."""

    mapping: Mapping
    row_count: int


def mapping_versions(connection: Connection, entity: str) -> list[Listed]:
    """Newest first, the latest MOST_VERSIONS. NotSupportedError without such an entity."""
    connector_of(connection).resource(entity)
    with scope(workspace=connection.workspace_id):
        every = Mapping.objects.filter(connection_id=connection.pk, entity=entity)
        found = every.annotate(row_count=Count("rows")).order_by("-version")[:MOST_VERSIONS]
        return [Listed(mapping, mapping.row_count) for mapping in found]


def version_rows(connection: Connection, entity: str, version: int) -> Definitions:
    """The rows of an override as it was; those of version 0, where there was none yet, are no rows.

    Errors: NotFoundError, NotSupportedError.
    """
    connector_of(connection).resource(entity)
    if version == 0:
        return {}
    with scope(workspace=connection.workspace_id):
        found = Mapping.objects.filter(connection_id=connection.pk, entity=entity, version=version).first()
        if found is None:
            raise NotFoundError(f"There is no version {version} of this mapping.")
        return definitions_of(found)


def compare_versions(connection: Connection, entity: str, before: int, after: int) -> list[Difference]:
    """What changes between two versions, each over the connector's present default. Errors: as `version_rows`."""
    earlier, later = (version_rows(connection, entity, version) for version in (before, after))
    return compare_rows(connection, entity, earlier, later)


def compare_rows(connection: Connection, entity: str, before: Definitions, after: Definitions) -> list[Difference]:
    """What changes between two overrides, each over the connector's present default."""
    default = definitions_of(ensure_default_mapping(connection.system, entity))
    earlier, later = {**default, **before}, {**default, **after}
    found = [_difference(target, earlier.get(target), later.get(target)) for target in {**earlier, **later}]
    return [difference for difference in found if difference is not None]


def restore_version(
    connection: Connection, entity: str, version: int, *, by: str, reason: str = "", base_version: int | None = None
) -> Mapping | None:
    """Publish the rows of an earlier version as a new one; version 0 is the connector's default.

    Rows that cannot be used any more, after a release of the connector, are refused as if they were sent now.
    Errors: NotFoundError, NotSupportedError, ValidationFailedError, MappingChangedError.
    """
    rows = as_rows(version_rows(connection, entity, version))
    told = Publication(by, reason, base_version, restores=version)
    return publish(connection, entity, check_rows(connection, entity, rows), told)


def export_mapping(connection: Connection, entity: str) -> dict[str, Any]:
    """The override in force as a document that another connection of the same system takes."""
    connector_of(connection).resource(entity)
    override = current_override(connection, entity)
    rows = as_rows(definitions_of(override)) if override else []
    return {"format": FORMAT, "system": connection.system, "entity": entity, "rows": rows}


def refuse_foreign(connection: Connection, entity: str, document: AnyMapping[str, Any]) -> None:
    """ValidationFailedError for an exported document of another format, system or entity. What it leaves out is right."""
    wanted = {"format": FORMAT, "system": connection.system, "entity": entity}
    errors = [
        FieldError(f"/{name}", "WRONG_DOCUMENT", f"This is a mapping of {name} {value!r}; here it is {wanted[name]!r}.")
        for name in wanted
        if (value := document.get(name, wanted[name])) != wanted[name]
    ]
    if errors:
        raise ValidationFailedError(errors[0].detail, code="WRONG_DOCUMENT", errors=tuple(errors))


def as_rows(definitions: Definitions) -> list[dict[str, Any]]:
    """Stored rows as people send them: a row with its target alone leaves the field out."""
    return [{"target": target, **_slim(definition)} for target, definition in definitions.items()]


def _slim(definition: AnyMapping[str, Any]) -> dict[str, Any]:
    """Without what is empty anyway; a row that is there keeps its source, which tells it from one that leaves out."""
    kept = {name: value for name, value in definition.items() if value not in (None, "", [], False)}
    return {"source": definition.get("source", ""), **kept} if definition else {}


def _difference(target: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Difference | None:
    earlier, later = _slim(before or {}) or None, _slim(after or {}) or None
    if earlier == later:
        return None
    if earlier is None:
        return Difference(target, "added", None, later)
    if later is None:
        return Difference(target, "removed", earlier, None)
    parts = tuple(name for name in {**earlier, **later} if earlier.get(name) != later.get(name))
    return Difference(target, "changed", earlier, later, parts)
