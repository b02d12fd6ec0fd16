"""Objects as Tryton sends them, brought into one fixed form: the same object always gives the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from integrations.protocols.typed_json import MARK, moment_of, typed_datetime

STAMP = "last_modified_at"
LEGACY_STAMPS = ("write_date", "create_date")
CHANGED = "changed_at"
UNREADABLE = "lineshaft_unreadable"


def canonical(value: Any, stamps: list[datetime]) -> Any:
    """Bring children into a fixed order (sequence, then id) and collect the change times met, at any depth."""
    if isinstance(value, list):
        return sorted((canonical(item, stamps) for item in value), key=_place)
    if not isinstance(value, dict) or MARK in value:
        return value
    found = {name: canonical(item, stamps) if isinstance(item, (dict, list)) else item for name, item in value.items()}
    if STAMP not in found and "write_date" in found:  # older series: null until the first change
        found[STAMP] = found["write_date"] or found.get("create_date")
    moment = moment_of(found.get(STAMP))
    if moment is not None:
        stamps.append(moment)
    return found


def _place(item: Any) -> tuple[Any, ...]:
    """Where a child stands: as Tryton sorts them, those without a sequence first. Plain ids by value."""
    if not isinstance(item, dict):
        return (0, 0, item if isinstance(item, (int, float)) else 0, str(item))
    sequence, place = item.get("sequence"), item.get("location")
    number = item.get("id") or (place.get("id") if isinstance(place, dict) else 0) or 0
    return (sequence is not None, sequence or 0, number, "")


def object_bytes(row: dict[str, Any], stamps: list[datetime]) -> bytes:
    """The bytes of one object with `changed_at`, its own or its children's newest change time. Keys sorted."""
    own: list[datetime] = []
    row = canonical(row, own)
    if own:
        row[CHANGED] = typed_datetime(max(own))
        stamps.append(max(own))
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


def unreadable(remote_id: int, why: str) -> bytes:
    """What stands for an object the system itself fails to read: it is seen, and set aside under its own id."""
    return orjson.dumps({"id": remote_id, UNREADABLE: why}, option=orjson.OPT_SORT_KEYS)


def newest(stamps: list[datetime]) -> datetime | None:
    """The greatest change time, aware UTC."""
    return max(stamps).astimezone(UTC) if stamps else None


def stamp_of(row: dict[str, Any]) -> datetime | None:
    """The change time of a row: `last_modified_at`, in older series the write or else the creation time."""
    return moment_of(row.get(STAMP) or row.get("write_date") or row.get("create_date"))
