"""Ways REST systems page their lists. Each is a small frozen value in a connector's declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin

from core.errors import BadAnswerError
from integrations.sdk.pages import Position


class Paging(Protocol):
    """`keep`: paths to read from each answer. `request` says what to ask, `following` where to go on (None = done)."""

    @property
    def keep(self) -> tuple[str, ...]: ...

    def request(self, position: Position | None, size: int) -> tuple[str | None, dict[str, Any]]:
        """(whole URL to follow or None, query parameters)."""
        ...

    def following(
        self, position: Position | None, size: int, count: int, kept: Mapping[str, Any], url: str
    ) -> Position | None: ...


@dataclass(frozen=True)
class Cursor:
    """`?limit=N&cursor=C`, the next cursor in the answer; null or missing ends."""

    next: str = "next_cursor"
    parameter: str = "cursor"
    size_parameter: str = "limit"
    total: str = ""

    @property
    def keep(self) -> tuple[str, ...]:
        return (self.next, *([self.total] if self.total else []))

    def request(self, position: Position | None, size: int) -> tuple[str | None, dict[str, Any]]:
        asked: dict[str, Any] = {self.size_parameter: size}
        if position:
            asked[self.parameter] = position["cursor"]
        return None, asked

    def following(
        self, position: Position | None, size: int, count: int, kept: Mapping[str, Any], url: str
    ) -> Position | None:
        cursor = kept[self.next]
        if cursor in (None, ""):
            return None
        if position and position["cursor"] == cursor:
            raise BadAnswerError("The system answers the same page token again and again.", code="PAGING_STUCK")
        return {"cursor": cursor}


@dataclass(frozen=True)
class NextLink:
    """A link to follow as it is; missing ends."""

    next: str = "next"
    size_parameter: str = "limit"
    total: str = ""

    @property
    def keep(self) -> tuple[str, ...]:
        return (self.next, *([self.total] if self.total else []))

    def request(self, position: Position | None, size: int) -> tuple[str | None, dict[str, Any]]:
        return (position["url"], {}) if position else (None, {self.size_parameter: size})

    def following(
        self, position: Position | None, size: int, count: int, kept: Mapping[str, Any], url: str
    ) -> Position | None:
        link = kept[self.next]
        if not link:
            return None
        target = urljoin(url, link)
        if position and position["url"] == target:
            raise BadAnswerError("The system links a page to itself.", code="PAGING_STUCK")
        return {"url": target}


@dataclass(frozen=True)
class Offset:
    """`?limit=N&offset=K`; a short page ends. Only for lists that name an order."""

    parameter: str = "offset"
    size_parameter: str = "limit"
    total: str = ""

    @property
    def keep(self) -> tuple[str, ...]:
        return (self.total,) if self.total else ()

    def request(self, position: Position | None, size: int) -> tuple[str | None, dict[str, Any]]:
        return None, {self.size_parameter: size, self.parameter: position["offset"] if position else 0}

    def following(
        self, position: Position | None, size: int, count: int, kept: Mapping[str, Any], url: str
    ) -> Position | None:
        if count < size:
            return None
        return {"offset": (position["offset"] if position else 0) + count}


@dataclass(frozen=True)
class Anchored:
    """A cursor list that can be sorted by a time and asked for what is not older: `?sort=T&T[gte]=V&limit=N`.

    A cursor may count rows, and then skips some when rows before it go or move. So each page begins anew at the last time
    seen, and what was seen at that very time is left out; the cursor helps only through more of one time than a page holds.
    `changed` is the time for windows, `created` that for complete walks, for it never moves.
    """

    cursor: Cursor
    changed: str = "updatedAt"
    created: str = "createdAt"
    sort_parameter: str = "sort"
    from_parameter: str = "{}[gte]"

    @property
    def keep(self) -> tuple[str, ...]:
        return self.cursor.keep

    def begin(self, *, since: bool) -> Position:
        """Before the first page."""
        return {"by": self.changed if since else self.created, "from": None, "seen": []}

    def request(self, position: Position | None, size: int) -> tuple[str | None, dict[str, Any]]:
        at = position or self.begin(since=False)
        _, asked = self.cursor.request({"cursor": at["cursor"]} if at.get("cursor") else None, size)
        asked[self.sort_parameter] = at["by"]
        if at["from"] is not None:
            asked[self.from_parameter.format(at["by"])] = at["from"]
        return None, asked

    def following(
        self, position: Position | None, size: int, count: int, kept: Mapping[str, Any], url: str
    ) -> Position | None:
        """By the cursor alone: within one time, or where the last row has none."""
        at = position or self.begin(since=False)
        last = {"cursor": at["cursor"]} if at.get("cursor") else None
        found = self.cursor.following(last, size, count, kept, url)
        return None if found is None else {**at, "cursor": found["cursor"]}

    def after(
        self, position: Position, last: Any, ids: list[str], kept: Mapping[str, Any], *, size: int, url: str
    ) -> Position | None:
        """Where to go on behind a page that ends at the time `last` with the objects `ids` (all of that time)."""
        following = self.following(position, size, len(ids), kept, url)
        if following is None or not isinstance(last, str):
            return following
        if last == position["from"]:
            return {**following, "seen": [*position["seen"], *ids]}
        return {"by": position["by"], "from": last, "seen": ids}
