"""Steps that read the copy: the same records, in the same form, as the API answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from connections.models import Connection
from core import ids
from core.errors import ConflictError, NotFoundError, NotSupportedError, ValidationFailedError
from core.ids import derived_id, namespace_of
from flows.definitions.model import GetRecord, ListRecords
from flows.engine.handlers.selecting import selection_of
from flows.engine.turn import Done, Turn
from integrations.entities import ENTITIES
from integrations.registry import get_connector
from syncs.records import Selection, as_texts, read_copy, read_records
from syncs.services.settling import refresh_record


def list_records(turn: Turn) -> Done:
    """Records of the copy that are not deleted, in order of their last change. Output: {records, count, is_cut}."""
    step: ListRecords = turn.step
    connection = turn.connection(step.connection)
    demand_copy(connection, step.entity)
    selection = selection_of(
        connection.pk, step.entity, turn.values.get("where") or {}, turn.values.get("changed_since")
    )
    found = read_live(connection, step.entity, selection, limit=step.limit + 1)
    records = found[: step.limit]
    return Done({"records": records, "count": len(records), "is_cut": len(found) > step.limit})


def get_record(turn: Turn) -> Done:
    """One record of the copy, by our id or the system's. Output: {record}, null where it may be missing.

    `is_fresh` reads it from the system first, but not in a dry run.
    """
    step: GetRecord = turn.step
    connection = turn.connection(step.connection)
    demand_copy(connection, step.entity)
    pk = _wanted(turn, connection, step.entity)
    try:
        if pk is not None and step.is_fresh and not turn.is_dry:
            seconds = get_connector(connection.system).call_seconds
            turn.lease.lasting(seconds + settings.SYNC_LEASE_MARGIN_SECONDS).renew()
            refresh_record(connection, step.entity, pk)
    except NotFoundError:
        pk = None
    found = read_live(connection, step.entity, Selection(ids=[pk]), limit=1) if pk is not None else []
    if not found and step.if_missing == "fail":
        raise NotFoundError(f"There is no such {_title(step.entity)} in {connection.name}.", code="RECORD_NOT_FOUND")
    return Done({"record": found[0] if found else None})


def _wanted(turn: Turn, connection: Connection, entity: str) -> UUID | None:
    """The record that is meant; None when an expression found none. Errors: ValidationFailedError for what is no id."""
    shown, remote = turn.values.get("id"), turn.values.get("remote_id")
    if shown is None and remote is None:
        return None
    if shown is not None and remote is not None:
        raise ValidationFailedError("Name the record by `id` or by `remote_id`, not by both.", code="INVALID_ID")
    return record_pk(entity, shown) if shown is not None else remote_pk(connection.pk, entity, remote)


def record_pk(entity: str, shown: Any) -> UUID:
    """The UUID of a record's shown id. Errors: ValidationFailedError INVALID_ID."""
    prefix = ENTITIES[entity].describes.id_prefix
    found = ids.read(prefix, shown) if isinstance(shown, str) else None
    if found is None:
        detail = f"`id` must be the id of a {_title(entity)}, which begins with {prefix}_; it is {_told(shown)}."
        raise ValidationFailedError(detail, code="INVALID_ID")
    return found


def remote_pk(connection_id: UUID, entity: str, remote: Any) -> UUID:
    """The UUID that the record of the system's object has. Errors: ValidationFailedError INVALID_ID."""
    if isinstance(remote, bool) or not isinstance(remote, str | int) or remote == "":
        detail = f"`remote_id` must be a text or a whole number; it is {_told(remote)}."
        raise ValidationFailedError(detail, code="INVALID_ID")
    return derived_id(namespace_of(connection_id, entity), str(remote))


def demand_copy(connection: Connection, entity: str) -> None:
    """That the connection shares the entity and the system has it, as the API says it.

    Errors: NotSupportedError (ENTITY_NOT_SHARED, or why there is none); ConflictError CONNECTION_DISCONNECTED.
    """
    found = read_copy(
        workspace_id=connection.workspace_id,
        environment=connection.environment,
        connection_id=connection.pk,
        entity=entity,
    )
    if found is None:
        raise ConflictError(f"The connection {connection.name} was deleted.", code="CONNECTION_DISCONNECTED")
    get_connector(found.system).resource(entity)
    if not found.is_shared:
        raise NotSupportedError(
            f"{connection.name} does not share its {ENTITIES[entity].describes.plural.replace('_', ' ')}: the customer did"
            " not choose to, or their sync is disabled.",
            code="ENTITY_NOT_SHARED",
        )
    if found.unavailable:
        raise NotSupportedError(f"{connection.name}: {found.unavailable}")


def read_live(connection: Connection, entity: str, selection: Selection, *, limit: int) -> list[Mapping[str, Any]]:
    """Records as the API answers them, as JSON values."""
    rows = read_records(
        selection, workspace_id=connection.workspace_id, connection_id=connection.pk, entity=entity, limit=limit
    )
    return [orjson.loads(text) for text in as_texts(rows)]


def _title(entity: str) -> str:
    return ENTITIES[entity].describes.title.lower()


def _told(value: Any) -> str:
    """What an expression gave, short: a text by its beginning, anything else by its kind."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return repr(value[:40]) if isinstance(value, str) else kinds.get(type(value), str(value)[:40])
