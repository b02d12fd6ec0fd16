"""Reading one model: pages by id, one object again, and what to do when the server fails on a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import NotFoundError, PermissionDeniedError
from integrations.connectors.tryton.rows import newest, object_bytes, unreadable
from integrations.connectors.tryton.shape import Call, Domain, Schema, Shape, any_of
from integrations.protocols.jsonrpc import RpcFaultError, RpcRefusedError
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Page, Position, Window

Row = dict[str, Any]
ORDER = [["id", "ASC"]]
GREATEST_ID = 2**31 - 1
_FAILURES = (RpcRefusedError, RpcFaultError)


class ShapeChangedError(Exception):
    """The server lacks fields that were asked for: the same again with those it has."""


@dataclass(frozen=True)
class Selected:
    """A domain that is whole up to the id `ceiling` (None: to the end); `newest`: a change time known beforehand."""

    domain: Domain
    ceiling: int | None = None
    newest: datetime | None = None


class ModelReader:
    """Reads one resource. `complete` may add to each row what the model itself does not hold.

    Pages follow the id, upwards: a row that changes meanwhile keeps its place, so nothing is skipped.
    """

    def __init__(self, resource: Resource, call: Call, *, complete: Callable[[Row], None] | None = None) -> None:
        self.resource, self.model, self.call = resource, resource.path, call
        self.shape = Shape(tuple(resource.parameters["fields"]))
        self._complete = complete
        self._probed = False

    # --- pages --------------------------------------------------------------------------------------------------

    def page(self, window: Window, position: Position | None, size: int) -> Page:
        """One page of the window; `position` is {"after": id}."""
        try:
            return self._page(window, position, size)
        except ShapeChangedError:
            return self._page(window, position, size)

    def _page(self, window: Window, position: Position | None, size: int) -> Page:
        after = position["after"] if position else None
        selected = self.select(window, after)
        stamps = [selected.newest] if selected.newest else []
        bounds = [["id", ">", after]] if after is not None else []
        bounds += [["id", "<=", selected.ceiling]] if selected.ceiling is not None else []
        records = self.read([*bounds, selected.domain] if bounds else selected.domain, size, stamps)
        counted = position is None and selected.ceiling is None
        last = int(records[-1][0]) if len(records) == size else selected.ceiling
        return Page(
            records=records,
            next=None if last is None else {"after": last},
            newest=newest(stamps),
            total=self.call(f"model.{self.model}.search_count", selected.domain) if counted else None,
        )

    def select(self, window: Window, after: int | None) -> Selected:
        """What a window asks for: all, or what changed, with the open documents where they are wanted."""
        if window.since is None:
            return Selected([])
        clauses = self.shape.changed_since(window.since)
        if window.open_too:
            clauses.append([self.resource.parameters["state"], "in", list(self.resource.open_values)])
        return Selected(any_of(clauses))

    def one(self, remote_id: str) -> bytes:
        """One object as its list shows it. NotFoundError when a search for its id finds nothing."""
        if not remote_id.isdecimal() or int(remote_id) > GREATEST_ID:
            raise self._gone(remote_id)
        domain = [["id", "=", int(remote_id)]]
        try:
            records = self.read(domain, 1, [])
        except ShapeChangedError:
            records = self.read(domain, 1, [])
        if not records:
            raise self._gone(remote_id)
        return records[0][1]

    def _gone(self, remote_id: str) -> NotFoundError:
        return NotFoundError(f"Tryton has no {self.resource.spec.title.lower()} with the id {remote_id[:40]!r}.")

    # --- reading ------------------------------------------------------------------------------------------------

    def read(self, domain: Domain, limit: int, stamps: list[datetime]) -> list[tuple[str, bytes]]:
        """Up to `limit` objects in order of id, with their change times added to `stamps`.

        One object the server cannot read fails the whole call: then halves are asked, and it is marked.
        """
        try:
            rows = self.rows(domain, limit)
        except _FAILURES as error:
            self._probe()
            ids = self.call(f"model.{self.model}.search", domain, 0, limit, ORDER)
            return self._salvaged(ids, stamps, error)
        return self._finished(rows, stamps)

    def rows(self, domain: Domain, limit: int) -> list[Row]:
        """The rows as they come."""
        return self.call(f"model.{self.model}.search_read", domain, 0, limit, ORDER, list(self.shape.fields))  # type: ignore[no-any-return]

    def complete(self, rows: list[Row]) -> None:
        """Add what the model itself does not hold."""
        if self._complete:
            for row in rows:
                self._complete(row)

    def _finished(self, rows: list[Row], stamps: list[datetime]) -> list[tuple[str, bytes]]:
        self.complete(rows)
        return [(str(row["id"]), object_bytes(row, stamps)) for row in rows]

    # --- when it fails ------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Find out once why a read fails: a model or fields the server lacks, or a model this user may not read.

        Errors: NotSupportedError, PermissionDeniedError naming the model, ShapeChangedError.
        """
        if self._probed:
            return
        schema = Schema(self.call)
        shape = schema.fitted(self.model, self.resource.parameters["fields"])
        for model in schema.models:
            try:
                self.call(f"model.{model}.search", [], 0, 1, ORDER)
            except RpcRefusedError as error:
                detail = f"This user may not read {model} in Tryton: give it a group that may."
                raise PermissionDeniedError(detail, source=error.source) from error
        self._probed = True
        if shape != self.shape:
            self.shape = shape
            raise ShapeChangedError

    def _salvaged(self, ids: list[int], stamps: list[datetime], error: Exception) -> list[tuple[str, bytes]]:
        """Read the good ones of these; the others are marked. When none of several is good, the error stands."""
        bad: dict[int, str] = {}
        found = dict(self._halves(ids, stamps, error, bad))
        if len(bad) == len(ids) > 2:
            raise error
        found |= {str(remote_id): unreadable(remote_id, why) for remote_id, why in bad.items()}
        return sorted(found.items(), key=lambda record: int(record[0]))

    def _halves(
        self, ids: list[int], stamps: list[datetime], error: Exception, bad: dict[int, str]
    ) -> list[tuple[str, bytes]]:
        """Read `ids`, known to fail together, in two halves."""
        if len(ids) <= 1:
            bad.update(dict.fromkeys(ids, str(error)))
            return []
        found = []
        for part in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            try:
                found += self._finished(self.rows([["id", "in", part]], len(part)), stamps)
            except _FAILURES as again:
                found += self._halves(part, stamps, again, bad)
        return found
