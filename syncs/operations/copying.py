"""The object as it is now, written into the copy in the transaction that ends an operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from connections.models import Connection
from connections.services import effective_mapping
from core import ids
from core.ids import derived_id, namespace_of
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource
from integrations.sdk.mapping import Compiled, compile_mapping
from syncs.engine import store
from syncs.engine.outcomes import now
from syncs.engine.prepare import Prepared, Preparer
from syncs.engine.store import Scope
from syncs.models import Operation, Record, Sync
from syncs.packing import packer_for
from workspaces.choices import EventType
from workspaces.events import emit_records

FAR = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    """One object as it was just read: its raw form decoded, its unified form, and the row to store."""

    remote_id: str
    decoded: Any
    unified: dict[str, Any]
    prepared: Prepared
    read_at: datetime | None = None  # by the database's clock, before it was asked for

    @property
    def status(self) -> str | None:
        """The source's status."""
        found = self.unified.get("remote_status")
        return None if found is None else str(found)


class Copier:
    """Maps and stores single objects of one entity of a connection."""

    def __init__(self, connection: Connection, resource: Resource, connector: Connector) -> None:
        mapping = effective_mapping(connection, resource.spec.name)
        self.rows = mapping.rows
        self.compiled: Compiled = compile_mapping(
            resource.spec, mapping.rows, connection_id=connection.pk, zone=connection.time_zone
        )
        self.connection, self.resource, self.connector = connection, resource, connector
        self._preparer = Preparer(
            connection_id=connection.pk,
            prefix=resource.spec.id_prefix,
            compiled=self.compiled,
            mapping_digest=mapping.digest,
            decode=connector.decode,
        )

    def read(self, remote_id: str) -> Seen:
        """Read the object upstream. Errors: NotFoundError when it is gone, NotSupportedError where it cannot be read."""
        read_at = now()
        return replace(self.seen(remote_id, self.connector.fetch_one(self.resource, remote_id)), read_at=read_at)

    def seen(self, remote_id: str, raw: bytes) -> Seen:
        """An object as it came. One that cannot be mapped raises MappingError; it is for the sync to set aside."""
        decoded = self.connector.decode(raw)
        prepared = self._preparer.prepare(self._preparer.sight([(remote_id, raw)]))
        return Seen(remote_id, decoded, self.compiled.map(decoded), prepared)

    def record_id(self, remote_id: str) -> UUID:
        return record_id_of(self.connection.pk, self.resource.spec.name, remote_id)


def record_id_of(connection_id: UUID, entity: str, remote_id: str) -> UUID:
    """The id the record of an upstream object has or will have."""
    return derived_id(namespace_of(connection_id, entity), remote_id)


def pack(seen: Seen, connection_id: UUID, entity: str) -> None:
    """Make the row ready for storing."""
    seen.prepared.pack(packer_for(connection_id, entity).pack)


def lock_sync(connection: Connection, entity: str) -> Scope:
    """Take the entity's sync row, so that a page and an own write see each other; after the operation's own lock."""
    sync = (
        Sync.objects.select_for_update(of=("self",), no_key=True)
        .filter(connection_id=connection.pk, entity=entity)
        .first()
    )
    return Scope(connection.workspace_id, connection.pk, sync.pk if sync is not None else connection.pk, entity)


def stage(seen: Seen) -> None:
    """COPY the row into staging, in the current transaction, before anything is locked."""
    if seen.prepared.rows:
        store.stage(seen.prepared.rows)


def write(scope: Scope, seen: Seen, prefix: str, cause: dict[str, Any]) -> None:
    """Write what was staged, with its event where the unified form changed. What was written since the reading is newer."""
    if seen.prepared.rejected and scope.sync_id != scope.connection_id:
        store.quarantine(scope, seen.prepared.rejected)
    if not seen.prepared.rows or _is_newer(scope, seen):
        return
    store.release_quarantine(scope, [row.id for row in seen.prepared.rows])
    written = store.write_staged(scope, None)
    for type_, found in (
        (EventType.RECORD_CREATED, written.created),
        (EventType.RECORD_UPDATED, [*written.updated, *written.restored]),
    ):
        if found:
            emit_records(type_, [f"{prefix}_{hex_id}" for hex_id in found], entity=scope.entity, **cause)


def _is_newer(scope: Scope, seen: Seen) -> bool:
    """Whether a page was written after this object was read; nothing was sent then, or the page would have left it out."""
    ids_ = [row.id for row in seen.prepared.rows]
    newer = Record.objects.filter(pk__in=ids_, connection_id=scope.connection_id, written_at__gt=seen.read_at)
    return seen.read_at is not None and newer.exists()


def bury(scope: Scope, record_id: UUID, prefix: str, cause: dict[str, Any]) -> None:
    """Tombstone the record, with its event, if it lives."""
    if store.bury(scope, [record_id.hex], before=FAR):
        emit_records(EventType.RECORD_DELETED, [str(ids.show(prefix, record_id))], entity=scope.entity, **cause)


def cause_of(operation: Operation, environment: str) -> dict[str, Any]:
    """What every event of an operation carries."""
    return {
        "workspace_id": operation.workspace_id,
        "environment": environment,
        "connection_id": operation.connection_id,
        "reason": "operation",
        "origin_run": ids.show(Operation.PREFIX, operation.pk),
    }


def jsonable(unified: dict[str, Any]) -> dict[str, Any]:
    """The unified form as plain JSON values."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(unified, default=str))
    return found
