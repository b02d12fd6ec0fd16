"""A mapping as it is being edited: rows over the default, compiled, tried on objects, told where it differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connections.models import Connection
from connections.services.mappings import check_rows, definitions_of, effective_mapping
from connections.services.opening import connector_of
from core.errors import ValidationFailedError
from integrations.sdk.mapping import Compiled, MappingRow, compile_mapping
from integrations.sdk.transforms import MappingError


@dataclass(frozen=True)
class Drafted:
    """The mapping in force and the one that is being edited, both ready to map."""

    now: Compiled
    then: Compiled
    rows: tuple[MappingRow, ...]


@dataclass(frozen=True)
class Mapped:
    """What one object becomes: the unified form, or why it cannot be mapped, with the field that is in the way."""

    unified: dict[str, Any] | None
    error: str | None = None
    field: str = ""


def draft_of(connection: Connection, entity: str, rows: list[dict[str, Any]]) -> Drafted:
    """Errors: ValidationFailedError with a pointer per row, NotSupportedError for an entity the system lacks."""
    given = check_rows(connection, entity, rows)
    effective = effective_mapping(connection, entity)
    whole = {**definitions_of(effective.default), **given}
    kept = tuple(MappingRow.from_json({"target": target, **row}) for target, row in whole.items() if row)
    spec = connector_of(connection).resource(entity).spec
    compiled = [
        compile_mapping(spec, each, connection_id=connection.pk, zone=connection.time_zone)
        for each in (effective.rows, kept)
    ]
    return Drafted(compiled[0], compiled[1], kept)


def map_object(compiled: Compiled, decoded: Any) -> Mapped:
    """Map one decoded object, times of the source included; what is in the way is told, not raised."""
    try:
        unified = compiled.map(decoded)
        times = {"remote_created_at": compiled.created(decoded), "remote_updated_at": compiled.updated(decoded)}
        return Mapped({**unified, **times})
    except MappingError as failure:
        return Mapped(None, str(failure)[:500], failure.target)
    except ValidationFailedError as failure:
        return Mapped(None, str(failure)[:500])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as failure:
        # What a transform cannot digest, such as a date format for a number.
        return Mapped(None, f"{type(failure).__name__}: {failure}"[:500])


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields in which two unified forms differ; those of `custom` one by one."""
    return list(_changed(before, after, ""))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], above: str) -> Iterator[str]:
    for name in {**before, **after}:
        if name == "custom" and not above:
            yield from _changed(before.get(name) or {}, after.get(name) or {}, "custom.")
        elif before.get(name) != after.get(name) or (name in before) != (name in after):
            yield above + name
