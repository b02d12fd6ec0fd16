"""Finding what was made when the answer was lost: by the mark that was written into it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from core.errors import NotFoundError, TransientError
from integrations.protocols.rest_reads import RestReads
from integrations.sdk.declarations import Resource, Write
from integrations.sdk.pages import Window
from integrations.sdk.paths import compile_path
from integrations.sdk.writes import Change

MOST_PAGES_SEARCHED = 200
SEARCH_MARGIN = timedelta(minutes=1)


class RestMarks(RestReads):
    """Searches lists for marks."""

    def find_marked(self, resource: Resource, change: Change, since: datetime) -> list[str]:
        """Looks at what changed since then, or at everything where the system cannot tell. Reads an object alone only
        where the list does not show the place of the mark, and only one that can have been made since then.

        Errors: TransientError SEARCH_TOO_LONG when the list does not end in the time of one call.
        """
        write = resource.write("create")
        if write is None or write.resolve != "mark" or not write.mark:
            return super().find_marked(resource, change, since)
        wanted = str(change.values.get(write.mark_field) or change.mark)
        window = Window(since - SEARCH_MARGIN if resource.changes else None, self.now())
        stop_at, position = time.monotonic() + self.call_seconds, None
        made_before = _MadeBefore(resource, since - SEARCH_MARGIN)
        found: list[str] = []
        for _ in range(MOST_PAGES_SEARCHED):
            page = self.list_page(resource, window, position)
            for key, raw in page.records:
                if time.monotonic() > stop_at:
                    raise self._too_long()
                if self._mark_of(resource, write, key, raw, made_before) == wanted:
                    found.append(key)
            if page.next is None:
                return found
            position = page.next
        raise self._too_long()

    def _too_long(self) -> TransientError:
        return TransientError(
            f"The list of {self.title} is too long to be searched for what was made.", code="SEARCH_TOO_LONG"
        )

    def _mark_of(
        self, resource: Resource, write: Write, remote_id: str, raw: bytes, made_before: _MadeBefore
    ) -> str | None:
        keys = write.mark.split(".")
        value = self.decode(raw)
        if keys[0] not in value:
            if made_before(value):
                return None
            try:
                value = self.decode(self.fetch_one(resource, remote_id))
            except NotFoundError:
                return None
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return None if value is None else str(value)


class _MadeBefore:
    """Whether an object is surely older than a time, by what its list tells. One whose time is not told is not."""

    def __init__(self, resource: Resource, since: datetime) -> None:
        row = next((row for row in resource.fields if row.target == "remote_created_at"), None)
        self._path = compile_path(row.source) if row is not None and row.source and not row.transforms else None
        self._since = since

    def __call__(self, value: Any) -> bool:
        told = self._path(value) if self._path is not None else None
        try:
            made = datetime.fromisoformat(told) if isinstance(told, str) else None
        except ValueError:
            return False  # another way of writing times: not judged
        return made is not None and made.tzinfo is not None and made < self._since


def put_mark(body: dict[str, Any], keys: list[str], mark: str) -> None:
    """Write the mark, unless its place holds something: what people see there is the mark itself then."""
    for key in keys[:-1]:
        body = body.setdefault(key, {})
    if body.get(keys[-1]) in (None, ""):
        body[keys[-1]] = mark
