"""Stored upstream objects, decoded as the connector reads them and without asking the system: to look at, and to try on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connections.models import Connection
from connections.services import muted_connector
from core.errors import ValidationFailedError
from syncs.models import QuarantinedRecord, Record
from syncs.packing import unpack

SAMPLE = 500


@dataclass(frozen=True)
class StoredObject:
    """One object. `record_id` names its record, or for one set aside the one it would have; `decoded` None when it
    cannot be read, with the reason."""

    record_id: UUID
    remote_id: str
    decoded: Any
    is_quarantined: bool = False
    unreadable: str = ""


def newest_objects(connection: Connection, entity: str, limit: int, *, quarantined: int) -> list[StoredObject]:
    """The latest changed records, behind up to `quarantined` of what could not be copied: that is what is to be mended."""
    aside = QuarantinedRecord.objects.filter(sync__connection_id=connection.pk, sync__entity=entity)
    told = aside.order_by("-last_seen_at").values_list("record_id", "remote_id", "raw")[:quarantined]
    waiting = [(pk, remote_id, bytes(raw)) for pk, remote_id, raw in told]
    copied = _live(connection, entity).order_by("-changed_at", "-id")[: limit - len(waiting)]
    return _decoded(connection, waiting, _unpacked(connection, copied))


def chosen_objects(connection: Connection, entity: str, record_ids: Sequence[UUID]) -> list[StoredObject]:
    """The live records with these ids and the objects set aside under them, in the order asked for."""
    aside = QuarantinedRecord.objects.filter(
        sync__connection_id=connection.pk, sync__entity=entity, record_id__in=record_ids
    )
    waiting = [(pk, remote_id, bytes(raw)) for pk, remote_id, raw in aside.values_list("record_id", "remote_id", "raw")]
    held = {pk for pk, _, _ in waiting}
    copied = _live(connection, entity).filter(pk__in=[pk for pk in record_ids if pk not in held])
    place = {pk: number for number, pk in enumerate(record_ids)}
    found = _decoded(connection, waiting, _unpacked(connection, copied))
    return sorted(found, key=lambda one: place[one.record_id])


def _live(connection: Connection, entity: str) -> Any:
    return Record.objects.live().filter(connection_id=connection.pk, entity=entity)


def _unpacked(connection: Connection, rows: Any) -> list[tuple[UUID, str, bytes]]:
    found = list(rows.values_list("pk", "remote_id", "raw"))
    texts = unpack((bytes(raw) for _, _, raw in found), connection_id=connection.pk)
    return [(pk, remote_id, text) for (pk, remote_id, _), text in zip(found, texts, strict=True)]


def _decoded(
    connection: Connection, waiting: Iterable[tuple[UUID, str, bytes]], copied: Iterable[tuple[UUID, str, bytes]]
) -> list[StoredObject]:
    found = []
    with muted_connector(connection) as connector:
        for is_quarantined, rows in ((True, waiting), (False, copied)):
            for pk, remote_id, raw in rows:
                try:
                    found.append(StoredObject(pk, remote_id, connector.decode(raw), is_quarantined))
                except (ValueError, ValidationFailedError) as error:
                    found.append(StoredObject(pk, remote_id, None, is_quarantined, str(error)[:500]))
    return found
