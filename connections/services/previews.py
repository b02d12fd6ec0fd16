"""Mapping rows tried on objects of the system, before anything is stored."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from connections.services.budget import take_call
from connections.services.mapping_rows import compile_rows, read_definitions
from connections.services.mappings import definitions_of, ensure_default_mapping
from connections.services.opening import connector_of, open_connector
from connections.services.sharing import demand_shared
from core.errors import ValidationFailedError
from integrations.sdk.mapping import Compiled, MappingRow, compile_mapping
from integrations.sdk.pages import Window
from integrations.sdk.transforms import MappingError

OBJECTS = 3


def preview_mapping(connection: Connection, entity: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Map up to three objects, read from the system now, with `rows` over the default.

    Shape: [{"remote_id", "unified" (None when it fails), "error" (None when it works), "raw"}].
    Errors: ValidationFailedError for the rows, those of a call to the system.
    """
    resource = connector_of(connection).resource(entity)
    demand_shared(connection, entity)
    given = read_definitions(rows)
    compile_rows(resource.spec, given, connection_id=connection.pk, zone=connection.time_zone)
    whole = {**definitions_of(ensure_default_mapping(connection.system, entity)), **given}
    kept = [MappingRow.from_json({"target": target, **row}) for target, row in whole.items() if row]
    compiled = compile_mapping(resource.spec, kept, connection_id=connection.pk, zone=connection.time_zone)
    with open_connector(connection, page_size=OBJECTS) as connector:
        take_call(connection, connector.limits, for_operations=True)
        page = connector.fetch_page(resource, Window(None, connector.now()), None)
        return [_mapped(compiled, remote_id, connector.decode(raw)) for remote_id, raw in page.records[:OBJECTS]]


def _mapped(compiled: Compiled, remote_id: str, raw: Any) -> dict[str, Any]:
    try:
        unified = compiled.map(raw)
    except (MappingError, ValidationFailedError) as failure:
        return {"remote_id": remote_id, "unified": None, "error": str(failure), "raw": raw}
    except (TypeError, ValueError, AttributeError, KeyError) as failure:
        # What a transform cannot digest, such as a date format for a number.
        error = f"{type(failure).__name__}: {failure}"
        return {"remote_id": remote_id, "unified": None, "error": error, "raw": raw}
    return {"remote_id": remote_id, "unified": unified, "error": None, "raw": raw}
