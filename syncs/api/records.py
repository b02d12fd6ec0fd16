"""Unified records: one list and one detail view for each entity.

This is the hot path: three statements a request (token, connection with freshness, page), and the answer is joined as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, cast
from uuid import UUID

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from connections.views import ConnectionScopedView, no_such_connection
from core import ids
from core.api_errors import NotFoundHereError
from core.errors import NotSupportedError
from core.json import RawJson, dumps
from core.pagination import decode_cursor, encode_cursor, filters_of, limit_from
from core.parameters import boolean_from, text_from
from integrations.entities import ENTITIES, Entity, FieldSpec
from integrations.registry import get_connector
from syncs.api.filters import Shown, selection_from, shown_from
from syncs.records import (
    Copy,
    Row,
    Selection,
    as_texts,
    as_texts_with_raw,
    id_of,
    position_of,
    raw_json,
    read_copy,
    read_records,
)
from workspaces.choices import Scope
from workspaces.permissions import require_scope
from workspaces.scopes import scope_of_entity

MAX_CURSOR_CHARACTERS = 4096


class RecordView(ConnectionScopedView):
    """What the views of records share."""

    scopes = {"GET": Scope.RECORDS_READ}
    entity: ClassVar[type[Entity]]

    @property
    def entity_name(self) -> str:
        """Whose own scope is enough."""
        return self.entity.describes.name

    def copy(self) -> Copy:
        """What the copy is. NotSupportedError when the system has no such entity, or it is not shared.

        This reads the connection too, as the base class would, with less around it.
        """
        name, token = self.entity.describes.name, self.token
        found = read_copy(
            workspace_id=token.workspace_id,
            environment=token.environment,
            connection_id=self.connection_id,
            entity=name,
        )
        if found is None:
            raise no_such_connection()
        get_connector(found.system).resource(name)
        if not found.is_shared:
            raise NotSupportedError(
                f"This connection does not share its {self.entity.describes.plural.replace('_', ' ')}: the customer did not"
                " choose to, or their sync is disabled.",
                code="ENTITY_NOT_SHARED",
            )
        if found.unavailable:
            raise NotSupportedError(found.unavailable)
        return found

    def read(
        self,
        selection: Selection,
        entity: type[Entity],
        *,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        with_raw: bool = False,
    ) -> list[Row]:
        """Records of this connection."""
        return read_records(
            selection,
            workspace_id=self.token.workspace_id,
            connection_id=self.connection_id,
            entity=entity.describes.name,
            limit=limit,
            after=after,
            with_raw=with_raw,
        )

    def texts(self, rows: Sequence[Row], shown: Shown) -> list[str]:
        """The records as JSON texts; parsed only where references are to be expanded."""
        if shown.expand:
            return self._expanded(rows, shown)
        return as_texts_with_raw(rows) if shown.raw else as_texts(rows)

    def _expanded(self, rows: Sequence[Row], shown: Shown) -> list[str]:
        records = [orjson.loads(text) for text in as_texts(rows)]
        for field in shown.expand:
            require_scope(self.token, scope_of_entity(Scope.RECORDS_READ, field.target or ""))
            found = self._targets(field, records)
            for record in records:
                reference = record[field.name]
                if reference and reference["id"] in found:
                    record[field.name] = RawJson(found[reference["id"]])
        if shown.raw:
            for record, row in zip(records, rows, strict=True):
                record["raw"] = RawJson(raw_json(row[4]))
        return [dumps(record) for record in records]

    def _targets(self, field: FieldSpec, records: list[dict[str, Any]]) -> dict[str, str]:
        """Shown id -> text of the records referred to, in one statement. Not copied, not shared: not there."""
        entity = ENTITIES[field.target or ""]
        prefix = entity.describes.id_prefix
        wanted = {record[field.name]["id"] for record in records if record[field.name]}
        pks = [pk for shown_id in wanted if shown_id and (pk := ids.read(prefix, shown_id))]
        if not pks:
            return {}
        rows = self.read(Selection(ids=pks, include_deleted=True, if_shared=True), entity, limit=len(pks))
        return dict(zip(map(id_of, rows), as_texts(rows), strict=True))


class RecordList(RecordView):
    """A page of records in order of their last change."""

    def get(self, request: Request) -> HttpResponse:
        limit, shown = limit_from(request), shown_from(request, self.entity)
        selection = selection_from(request, self.entity, self.connection_id)
        after = self._cursor(request)
        copy = self.copy()
        rows = self.read(selection, self.entity, limit=limit + 1, after=after, with_raw=shown.raw)
        more, rows = len(rows) > limit, rows[:limit]
        meta = {"data_as_of": copy.data_as_of, "sync_status": copy.state}
        tail = dumps({"next_cursor": self._next(request, rows[-1]) if more else None, "meta": meta})
        return json_answer(f'{{"data":[{",".join(self.texts(rows, shown))}],{tail[1:]}')

    def _cursor(self, request: Request) -> tuple[datetime, UUID] | None:
        text = text_from(request, "cursor", max_length=MAX_CURSOR_CHARACTERS)
        if text is None:
            return None
        values = decode_cursor(text, (datetime, UUID), purpose=self._purpose, filters=_bound(request))
        return cast(tuple[datetime, UUID], values)

    def _next(self, request: Request, last: Row) -> str:
        return encode_cursor(position_of(last), purpose=self._purpose, filters=_bound(request))

    @property
    def _purpose(self) -> str:
        return f"{self.entity.describes.name} of {self.connection_id}"


class OneRecord(RecordView):
    """One record. Its version is its ETag, as long as nothing else is shown with it."""

    def get(self, request: Request, record_id: str) -> HttpResponse:
        shown = shown_from(request, self.entity)
        include_deleted = boolean_from(request, "include_deleted")
        self.copy()
        described = self.entity.describes
        pk = ids.read(described.id_prefix, record_id)
        rows = []
        if pk is not None:
            selection = Selection(ids=[pk], include_deleted=include_deleted)
            rows = self.read(selection, self.entity, limit=1, with_raw=shown.raw)
        if not rows:
            raise NotFoundHereError(f"There is no such {described.title.lower()} in this connection.")
        (text,) = self.texts(rows, shown)
        if shown.raw or shown.expand:
            return json_answer(text)
        etag = f'"{rows[0][3]}"'
        if _knows(request, etag):
            return HttpResponse(status=304, headers={"ETag": etag})
        return json_answer(text, {"ETag": etag})


def json_answer(text: str, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(text.encode(), content_type="application/json", headers=headers)


def _bound(request: Request) -> dict[str, list[str]]:
    """The filters a cursor belongs to. However the connection was named, it is part of the cursor's purpose."""
    filters = filters_of(request, ignore=("cursor", "limit", "connection"))
    filters.pop("X-Connection-Id", None)
    return filters


def _knows(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names the tag (RFC 9110, section 13.1.2: compared weakly)."""
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    return etag in given or given == ["*"]
