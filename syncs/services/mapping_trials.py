"""Editing a mapping on what is stored: what stands in the objects, and what they become with rows that are being edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connections.models import Connection
from connections.services import connector_of, demand_shared, effective_mapping
from connections.services.drafts import Drafted, Mapped, changed_fields, draft_of, map_object
from connections.services.raw_fields import observe
from connections.services.suggestions import Suggestion, suggest
from syncs.services.stored_objects import SAMPLE, StoredObject, chosen_objects, newest_objects

PREVIEWED, MOST_PREVIEWED = 10, 50


@dataclass(frozen=True)
class Findings:
    """The places in a sample of `seen` objects, of which `quarantined` could not be copied.

    `complete`: the sample is all there is. `cut`: there are more places than are told.
    """

    seen: int
    quarantined: int
    complete: bool
    cut: bool
    suggestions: list[Suggestion]


@dataclass(frozen=True)
class Tried:
    """One object with the mapping in force and with the edited one. `changed`: the fields in which they differ."""

    stored: StoredObject
    before: Mapped
    after: Mapped
    changed: list[str]

    @property
    def is_broken(self) -> bool:
        """It can be mapped now, and could not any more."""
        return self.before.error is None and self.after.error is not None

    @property
    def is_mended(self) -> bool:
        return self.before.error is not None and self.after.error is None


def raw_findings(connection: Connection, entity: str) -> Findings:
    """What stands in the newest stored objects, and what could be made of it. Asks nothing upstream.

    Errors: NotSupportedError for an entity the system lacks, PermissionDeniedError for one that is not shared.
    """
    resource = connector_of(connection).resource(entity)
    demand_shared(connection, entity)
    objects = newest_objects(connection, entity, SAMPLE, quarantined=SAMPLE // 5)
    found = observe(one.decoded for one in objects if not one.unreadable)
    aside = sum(one.is_quarantined for one in objects)
    suggested = suggest(resource.spec, effective_mapping(connection, entity).rows, found, identity=resource.id)
    return Findings(found.seen, aside, len(objects) < SAMPLE, found.cut, suggested)


def try_rows(
    connection: Connection, entity: str, rows: list[dict[str, Any]], *, record_ids: Sequence[UUID] = ()
) -> list[Tried]:
    """Map stored objects with `rows` as the override: those chosen, or the newest, what is in quarantine first.

    Stores nothing and asks nothing upstream. Errors: ValidationFailedError with a pointer per row, NotSupportedError,
    PermissionDeniedError for an entity that is not shared.
    """
    demand_shared(connection, entity)
    drafted = draft_of(connection, entity, rows)
    if record_ids:
        objects = chosen_objects(connection, entity, list(dict.fromkeys(record_ids))[:MOST_PREVIEWED])
    else:
        objects = newest_objects(connection, entity, PREVIEWED, quarantined=PREVIEWED // 2)
    return [_tried(drafted, one) for one in objects]


def _tried(drafted: Drafted, stored: StoredObject) -> Tried:
    if stored.unreadable:
        same = Mapped(None, stored.unreadable)
        return Tried(stored, same, same, [])
    before, after = map_object(drafted.now, stored.decoded), map_object(drafted.then, stored.decoded)
    changed = [] if after.unified is None else changed_fields(before.unified or {}, after.unified)
    return Tried(stored, before, after, changed)
