"""Reading over REST: lists by GET, one object at its own address."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from core.errors import BadAnswerError, NotFoundError, NotSupportedError, RateLimitedError
from core.http import Response
from integrations.protocols.paging import Anchored, Cursor, Paging
from integrations.protocols.rest_calls import RestCalls
from integrations.protocols.trimming import Trimmer, flag_of, unwrapped
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Page, Position, Window
from integrations.sdk.paths import Getter, compile_path
from integrations.sdk.splitting import Head, Splitter

# Numbers with a point stay exact: money must not become a float.
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class _Reader:
    """What reads the answers about one resource, compiled once."""

    splitter: Splitter
    head: Head
    trimmer: Trimmer
    is_deleted: Any
    status: Getter


class RestReads(RestCalls):
    """`details_per_page`: of a resource with `detail_per_row`, how many objects one page reads at most."""

    details_per_page: ClassVar[int] = 20

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._readers: dict[str, _Reader] = {}

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        if resource.detail_per_row:
            return self._detailed_page(resource, window, position or {})
        page = self.list_page(resource, window, position)
        reader = self._reader(resource)
        if resource.deleted_when:
            page = replace(page, records=[(key, raw) for key, raw in page.records if not reader.is_deleted(raw)])
        if resource.keep:
            page = replace(page, records=[(key, self.shaped(resource, raw)) for key, raw in page.records])
        return page

    def list_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        """One page of the list as it came."""
        paging: Paging = resource.paging or Cursor()
        size = self.page_size()
        wanted = self.window_parameters(resource, window)
        if isinstance(paging, Anchored):
            position = position or paging.begin(since=bool(wanted))
        link, asked = paging.request(position, size)
        url = link or self.url(resource.path)
        parameters = {} if link else {**resource.parameters, **wanted, **asked}
        response = self.get(url, parameters)
        reader = self._reader(resource)
        raws, kept = reader.splitter.split(response.body)
        records: list[tuple[str, bytes]] = []
        unreadable: list[tuple[str, bytes]] = []
        changed: list[str] = []
        for raw in raws:
            key, value = reader.head.read(raw)
            if key is None:
                unreadable.append((f"no value at `{resource.id}`", raw))
                continue
            records.append((key, raw))
            if value is not None:
                changed.append(value)
        newest = self.newest(resource, changed)
        if isinstance(paging, Anchored) and position is not None:
            last, ids = self._last(records, compile_path(position["by"]))
            following = paging.after(position, last, ids, kept, size=size, url=url)
            if position["by"] == paging.changed and newest is not None and newest > window.until:
                following = None  # what changes while we walk is for the next window
            records = [record for record in records if record[0] not in position["seen"]]
        else:
            following = self.without_credential(paging.following(position, size, len(raws), kept, url))
        return Page(
            records=records,
            unreadable=unreadable,
            next=following,
            newest=newest,
            total=_whole(kept.get(getattr(paging, "total", "") or "")),
        )

    def fetch_one(self, resource: Resource, remote_id: str) -> bytes:
        if not resource.detail:
            raise NotSupportedError(f"{self.title} cannot read one {resource.spec.title.lower()} again.")
        raw, response = self._read_one(resource, remote_id)
        self.remember(resource, remote_id, response)
        return raw

    def _read_one(self, resource: Resource, remote_id: str, seconds: float | None = None) -> tuple[bytes, Response]:
        url = self.url(self.place(resource.detail, remote_id))
        response = self.get(url, resource.detail_parameters, seconds=seconds)
        response.json()
        raw = unwrapped(response.body, resource.item)
        if self._reader(resource).is_deleted(raw):
            raise NotFoundError(f"{self.title} has deleted this object.", code="DELETED_AT_SOURCE")
        return self.shaped(resource, raw), response

    def decode(self, raw: bytes) -> Any:
        return _DECODER.decode(raw)

    # --- what a system may do otherwise -------------------------------------------------------------------------

    def shaped(self, resource: Resource, raw: bytes) -> bytes:
        """The bytes of an object as they are kept, the same from a list and from its own address."""
        return self._reader(resource).trimmer.trim(raw)

    def pause_seconds(self) -> float:
        """How long to wait before a further call of the same page, so that writes have a share of the limit too."""
        return 0.0

    def remember(self, resource: Resource, remote_id: str, response: Response) -> None:
        """Keep what the headers of one object tell, such as its version."""

    def window_parameters(self, resource: Resource, window: Window) -> dict[str, Any]:
        """Query parameters that ask only for what changed since the window began."""
        if window.since is None or resource.changes is None or window.open_too:
            return {}
        return {resource.changes.parameter: window.since.strftime(resource.changes.format)}

    def newest(self, resource: Resource, changed: list[str]) -> datetime | None:
        """The greatest change time of a page. ISO texts of one form compare as they are; one is parsed."""
        if not changed:
            return None
        try:
            moment = datetime.fromisoformat(max(changed))
        except (TypeError, ValueError) as error:
            raise BadAnswerError(f"The change time {max(map(str, changed))!r} is not a date and time.") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.settings.zone)).astimezone(UTC)

    # --- details --------------------------------------------------------------------------------------------------

    def _detailed_page(self, resource: Resource, window: Window, position: Position) -> Page:
        """Some objects of a list that only tells which there are: `position` holds those still to be read, and where the
        list goes on behind them."""
        stop_at = time.monotonic() + self.call_seconds
        page, ids, following = Page([]), list(position.get("ids") or ()), position.get("list")
        if not ids:
            page = self.list_page(resource, window, following)
            ids, following = [key for key, raw in page.records if self._is_wanted(resource, window, raw)], page.next
        records, done = self._details(resource, ids, stop_at)
        left = ids[done:]
        read = self._reader(resource).head.read
        changed = [value for _, raw in records if (value := read(raw)[1]) is not None]
        return replace(
            page,
            records=records,
            newest=self.newest(resource, changed),
            next={"ids": left, "list": following} if left or following else None,
            total=None,
        )

    def _details(self, resource: Resource, ids: list[str], stop_at: float) -> tuple[list[tuple[str, bytes]], int]:
        """The objects read, and how many of the ids are done: as many as half the time of a call and the limit allow.

        Errors: RateLimitedError when the limit allows none.
        """
        records: list[tuple[str, bytes]] = []
        half, done = stop_at - self.call_seconds / 2, 0
        for remote_id in ids[: min(self.details_per_page, self.page_size())]:
            wait = self.pause_seconds()
            if wait and not done:
                raise RateLimitedError("The limit of the system is nearly used up.", retry_after=wait)
            now = time.monotonic()
            if wait or (now > half and done):
                break
            try:
                raw, _ = self._read_one(resource, remote_id, seconds=max(stop_at - now, self.call_seconds / 4))
                records.append((remote_id, raw))
            except NotFoundError:
                pass  # it went between the list and now
            done += 1
        return records, done

    def _is_wanted(self, resource: Resource, window: Window, raw: bytes) -> bool:
        """Whether an object of a complete walk is recent or still open; a list that does not tell shows it."""
        if not window.open_too or window.since is None or resource.changes is None:
            return True
        _, changed = self._reader(resource).head.read(raw)
        moment = self.newest(resource, [changed]) if changed is not None else None
        if moment is None or moment >= window.since:
            return True
        status = self._reader(resource).status(self.decode(raw))
        return status is None or str(status) in resource.open_values

    def _last(self, records: list[tuple[str, bytes]], get: Getter) -> tuple[Any, list[str]]:
        """The time of the last row, and the ids of all rows at the end that have it."""
        last: Any = None
        ids: list[str] = []
        for key, raw in reversed(records):
            try:
                value = get(self.decode(raw))
            except (msgspec.DecodeError, ValueError, AttributeError):
                break
            if ids and value != last:
                break
            last = value
            ids.append(key)
        return last, ids

    def _reader(self, resource: Resource) -> _Reader:
        name = resource.spec.name
        if name not in self._readers:
            paging: Paging = resource.paging or Cursor()
            row = next((row for row in resource.fields if row.target == "remote_status"), None)
            self._readers[name] = _Reader(
                Splitter(resource.items, paging.keep),
                Head(resource.id, resource.changes.path if resource.changes else None, self.decode),
                Trimmer(resource.keep),
                flag_of(resource.deleted_when),
                compile_path(row.source) if row else lambda _raw: None,
            )
        return self._readers[name]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
