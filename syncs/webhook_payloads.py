"""Full payloads of webhooks: an event with the records in it that it names.

Told in the present form, as the API would answer now. A record that is not in the copy any more, or that the customer no
longer shares, is left out of `records`; its id still stands in `data.ids`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

import orjson

from core.json import RawJson, dumps
from syncs.records import Selection, as_texts, id_of, read_records
from workspaces.models import Event

PART_BYTES = 20_000
_RECORDS = "record."


def render(event: Event) -> list[str]:
    """The event as one or more JSON texts, each of at most 20 kB where its records let it: none is cut in two.

    Shape: the thin event; of records also `records` (as the API shows them, tombstones too) in `data`, and, where there
    is more than one part, `part` and `parts`, counted from 1. `data.ids` of a part are those it tells of.
    """
    if not event.type.startswith(_RECORDS) or event.connection_id is None:
        return [event.body]
    body = orjson.loads(event.body)
    data = body["data"]
    if not data:  # purged
        return [event.body]
    texts = _texts(event, data["entity"], data["ids"])
    pieces = list(_pieces(data["ids"], texts, room=PART_BYTES - len(event.body.encode())))
    rendered = []
    for number, piece in enumerate(pieces, 1):
        parted = {"part": number, "parts": len(pieces)} if len(pieces) > 1 else {}
        told = [RawJson(texts[shown]) for shown in piece if shown in texts]
        rendered.append(dumps({**body, **parted, "data": {**data, "ids": piece, "records": told}}))
    return rendered


def _texts(event: Event, entity: str, shown_ids: list[str]) -> dict[str, str]:
    """Shown id -> the record as the API answers it."""
    assert event.connection_id is not None
    wanted = Selection(
        ids=[UUID(shown.rpartition("_")[2]) for shown in shown_ids], include_deleted=True, if_shared=True
    )
    rows = read_records(
        wanted,
        workspace_id=event.workspace_id,
        connection_id=event.connection_id,
        entity=entity,
        limit=len(shown_ids),
    )
    return {id_of(row): text for row, text in zip(rows, as_texts(rows), strict=True)}


def _pieces(shown_ids: Iterable[str], texts: dict[str, str], *, room: int) -> Iterator[list[str]]:
    """The ids in order, as many to a piece as their records leave room for."""
    piece: list[str] = []
    left = room
    for shown in shown_ids:
        size = len(texts.get(shown, "").encode()) + 1
        if piece and size > left:
            yield piece
            piece, left = [], room
        piece.append(shown)
        left -= size
    yield piece
