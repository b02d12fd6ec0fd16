"""Writes of unified records: checked, stored as operations, and answered with what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import Connection
from core import ids
from core.api_errors import BadRequestError, NotFoundHereError
from core.json import RawJson
from core.rendering import StrictJsonParser
from syncs.api import preferences, waiting
from syncs.api.presenting import answer
from syncs.api.records import RecordView, json_answer
from syncs.api.refusals import reasons_told
from syncs.bodies import call_body
from syncs.choices import OperationKind
from syncs.operations.errors import VersionConflictError
from syncs.records import Selection, as_texts
from syncs.services.settling import refresh_record
from syncs.services.writes import Wish, dry_run, request_operation
from workspaces.choices import Scope


class MergePatchParser(StrictJsonParser):
    """The media type of RFC 7396; the body is read as any JSON is."""

    media_type = "application/merge-patch+json"


class WriteView(RecordView):
    """What the views of writes share."""

    def write(self, request: Request, wish: Wish) -> Response:
        """Do what is wished, or with `?dry_run=true` show what would be sent."""
        wait = preferences.wait_from(request)
        connection = self._writable()
        with reasons_told():
            try:
                if preferences.is_dry_run(request):
                    return _planned(connection, wish)
                wanted = request_operation(connection, wish)
            except VersionConflictError as error:
                error.extra["record"] = self._as_it_is(wish.record_id)
                raise
        (operation,), waited = waiting.wait_for_all([wanted.operation.pk], wait.seconds)
        return answer(request, operation, wait=wait, waited=waited, is_replay=not wanted.is_new)

    def wish(self, request: Request, kind: OperationKind, record_id: str | None = None, *, action: str = "") -> Wish:
        """What the request asks for. Errors: BadRequestError, NotFoundHereError."""
        if kind == OperationKind.CREATE:
            preferences.no_version_of_new(request)
        return Wish(
            entity=self.entity.describes.name,
            kind=kind,
            body=body_of(request),
            record_id=self.record_pk(record_id) if record_id is not None else None,
            action=action,
            expected_version=preferences.version_from(request),
            key=preferences.key_from(request),
            by=str(request.user),
        )

    def record_pk(self, shown_id: str) -> UUID:
        """The UUID of a record's id; whether there is such a record is asked later, in the same words."""
        found = ids.read(self.entity.describes.id_prefix, shown_id)
        if found is None:
            raise self.no_such_record()
        return found

    def no_such_record(self) -> NotFoundHereError:
        return NotFoundHereError(f"There is no such {self.entity.describes.title.lower()} in this connection.")

    def _writable(self) -> Connection:
        """The connection, which shares this entity."""
        self.copy()
        return self.connection

    def _as_it_is(self, record_id: UUID | None) -> RawJson | None:
        rows = self.read(Selection(ids=[record_id]), self.entity, limit=1) if record_id is not None else []
        return RawJson(as_texts(rows)[0]) if rows else None


class CreateRecord(WriteView):
    """A new object in the system."""

    def post(self, request: Request) -> Response:
        return self.write(request, self.wish(request, OperationKind.CREATE))


class ChangeRecord(WriteView):
    """An object of the system, changed or removed."""

    parser_classes = [StrictJsonParser, MergePatchParser]

    def patch(self, request: Request, record_id: str) -> Response:
        return self.write(request, self.wish(request, OperationKind.UPDATE, record_id))

    def delete(self, request: Request, record_id: str) -> Response:
        return self.write(request, self.wish(request, OperationKind.DELETE, record_id))


class ActOnRecord(WriteView):
    """A declared change of state of an object of the system."""

    scopes = {"POST": Scope.RECORDS_WRITE}

    def post(self, request: Request, record_id: str, action: str) -> Response:
        return self.write(request, self.wish(request, OperationKind.ACTION, record_id, action=action))


class RefreshRecord(WriteView):
    """One record, read again now."""

    scopes = {"POST": Scope.RECORDS_READ}

    def post(self, request: Request, record_id: str) -> Any:
        if body_of(request):
            raise BadRequestError("Reading a record again takes no body.", code="INVALID_BODY")
        pk, connection = self.record_pk(record_id), self._writable()
        with waiting.upstream_place():
            found = refresh_record(connection, self.entity.describes.name, pk)
        rows = self.read(Selection(ids=[pk]), self.entity, limit=1)
        if found.is_gone or not rows:
            raise self.no_such_record()
        return json_answer(as_texts(rows)[0], {"ETag": f'"{rows[0][3]}"'})


WRITE_SCOPES: Mapping[str, Scope] = dict.fromkeys(("POST", "PATCH", "DELETE"), Scope.RECORDS_WRITE)
WRITE_PARAMETERS: frozenset[str] = frozenset({"connection", "dry_run"})


def body_of(request: Request) -> dict[str, Any]:
    """The body, an object; {} for none."""
    if not isinstance(request.data, dict):
        raise BadRequestError("The body must be a JSON object.", code="INVALID_BODY")
    return dict(request.data)


def _planned(connection: Connection, wish: Wish) -> Response:
    with waiting.upstream_place():
        planned = dry_run(connection, wish)
    return Response(
        {
            "dry_run": True,
            "calls": [call_body(call.as_json()) for call in planned.calls],
            "diff": planned.diff,
            "effect": planned.effect or None,
        }
    )
