"""GET of a list: limit, cursor, sort, expand, time ranges, filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from integrations.simulators.kit.clock import normalised
from integrations.simulators.kit.entities import Entity
from integrations.simulators.kit.messages import Answer, Request
from integrations.simulators.kit.paging import Listing, Page, pack_cursor, page_of, unpack_cursor
from integrations.simulators.kit.store import Object, Row
from integrations.simulators.kit.tenant import Call
from integrations.simulators.maintainx.refusals import refusal

DEFAULT_LIMIT, MAX_LIMIT = 100, 200
Wanted = Callable[[Object], bool]


def list_objects(call: Call) -> Answer:
    table = call.store.tables[call.entity]
    entity, request = table.entity, call.request
    by_offset = call.entity in call.settings["offset_paging"]
    listing = read_listing(entity, request, by_offset=by_offset)
    page = page_of(table, listing)
    cursor = _next_cursor(page, listing, by_offset=by_offset) if page.has_more else None
    expand = frozenset({*entity.expand, *entity.embed}.intersection(request.query.get("expand", ())))
    rows = [_row_json(call, entity, row, expand) for row in page.rows]
    return envelope(entity, rows, cursor, request)


def envelope(entity: Entity, rows: list[bytes], cursor: str | None, request: Request) -> Answer:
    url = request.target_with(cursor=cursor) if cursor else None
    tail = orjson.dumps({"nextCursor": cursor, "nextPageUrl": url})
    return Answer(200, b'{"%s":[%s],%s' % (entity.plural.encode(), b",".join(rows), tail[1:]))


def read_listing(entity: Entity, request: Request, *, by_offset: bool) -> Listing:
    sort = request.first("sort") or "id" if len(entity.sorts) > 1 else "id"
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in entity.sorts:
        raise refusal(f"sort must be one of {', '.join(entity.sorts)}")
    low, high, wanted = _bounds(entity, request, name)
    wanted += _filters(entity, request)
    after, offset = _place(request, sort, by_offset=by_offset)
    return Listing(
        limit=_limit(request),
        sort=name,
        descending=descending,
        low=low,
        high=high,
        wanted=(lambda data: all(one(data) for one in wanted)) if wanted else None,
        after=after,
        offset=offset,
    )


def _limit(request: Request) -> int:
    text = request.first("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise refusal(f"limit must be between 1 and {MAX_LIMIT}")
    return int(text)


def _bounds(entity: Entity, request: Request, sort: str) -> tuple[str | None, str | None, list[Wanted]]:
    """A range of the sort field bounds the walk; any other is looked at row by row."""
    low = high = None
    wanted: list[Wanted] = []
    for name in entity.ranges:
        least, most = _time(request, f"{name}[gte]"), _time(request, f"{name}[lte]")
        if name == sort:
            low, high = least, most
        elif least or most:
            wanted.append(_within(name, least, most))
    return low, high, wanted


def _time(request: Request, name: str) -> str | None:
    text = request.first(name)
    try:
        # A "+" of a zone arrives as a space when the client did not encode it.
        return normalised(text.replace(" ", "+")) if text is not None else None
    except ValueError:
        raise refusal(f"{name} must be an ISO 8601 date-time") from None


def _within(name: str, least: str | None, most: str | None) -> Wanted:
    return lambda data: (least is None or data[name] >= least) and (most is None or data[name] <= most)


def _filters(entity: Entity, request: Request) -> list[Wanted]:
    return [
        _one_of(name, set(request.query[parameter]))
        for parameter, name in entity.filters.items()
        if parameter in request.query
    ]


def _one_of(name: str, texts: set[str]) -> Wanted:
    return lambda data: not texts.isdisjoint(_texts(data.get(name)))


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(one["id"] if isinstance(one, dict) else one) for one in values]


def _place(request: Request, sort: str, *, by_offset: bool) -> tuple[tuple[bool, Any, int] | None, int]:
    cursor = request.first("cursor")
    if not cursor:
        return None, 0
    try:
        kind, *parts = unpack_cursor(cursor)
        if by_offset and kind == "offset":
            return None, int(parts[0])
        if not by_offset and kind == sort:
            return (bool(parts[0]), parts[1], int(parts[2])), 0
    except (ValueError, IndexError, TypeError):
        pass
    raise refusal("Invalid cursor")


def _next_cursor(page: Page, listing: Listing, *, by_offset: bool) -> str:
    if by_offset:
        return pack_cursor("offset", listing.offset + len(page.rows))
    assert page.last is not None
    return pack_cursor(("-" if listing.descending else "") + listing.sort, *page.last)


def _row_json(call: Call, entity: Entity, row: Row, expand: frozenset[str]) -> bytes:
    plain = expand.difference(entity.embed)
    if expand == plain:
        return row.json(plain, lambda data: listed(entity, data, plain))
    shown = listed(entity, row.data, plain)
    return orjson.dumps(shown | embedded(call, entity, row.data, expand))


def listed(entity: Entity, data: Object, expand: frozenset[str]) -> Object:
    """An object as a list shows it."""
    if entity.listed is None:
        return data
    names = [*entity.listed, *(entity.expand[name] for name in sorted(expand))]
    return {name: data.get(name) for name in names}


def embedded(call: Call, entity: Entity, data: Object, expand: frozenset[str]) -> Object:
    """The objects that are asked for in place of their ids."""
    found: Object = {}
    for name in expand.intersection(entity.embed):
        field, id_field, target = entity.embed[name]
        other = call.store.tables[target]
        row = other.rows.get(data[id_field]) if data[id_field] is not None else None
        found[field] = listed(other.entity, row.data, frozenset()) if row else None
    return found
