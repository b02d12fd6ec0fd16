"""Records: found by remote id or number, seen with the unified form beside the raw object. Nothing is ever counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.screen_texts import entity_title
from core import ids
from core.admin import HistoryAdmin
from core.admin_buttons import Button, ButtonAdmin, page
from core.admin_texts import moment, pretty
from integrations.entities import ENTITIES
from integrations.registry import catalogue
from syncs.admin.operation_facts import HEAVY, SHOWN, operation_rows
from syncs.admin.telling import refreshed_line
from syncs.models import Operation, Record, Sync, SyncRun
from syncs.packing import body_of, raw_of
from syncs.services.settling import refresh_record

PAGE = 50
DELETED = {"": "Live", "only": "Deleted", "all": "Live and deleted"}


@admin.register(Record)
class RecordAdmin(HistoryAdmin, ButtonAdmin):
    """Read-only. Lists are of one entity of one connection, since that is what can be read fast however much there is."""

    buttons = (Button("refresh", "Read again now", "refresh", "primary"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        rows: QuerySet[Record] = super().get_queryset(request)
        return rows.select_related("connection")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        connection = _connection(request.GET.get("connection", ""))
        if connection is None:
            return self._choose(request)
        entities = _entities(connection)
        entity = request.GET.get("entity") or next(iter(entities), "")
        return self._list(request, connection, entity, entities)

    def _choose(self, request: HttpRequest) -> HttpResponse:
        """Which connection's records: its name is searched, since there may be ten thousand."""
        text = request.GET.get("q", "").strip()
        found: Any = Connection.objects.kept().order_by("name", "id")
        if text:
            found = found.search(text)
        rows = list(found[:PAGE])
        shared: dict[UUID, list[Any]] = {row.pk: [] for row in rows}
        for sync in Sync.objects.filter(connection__in=rows).shared().order_by("entity"):
            shared[sync.connection_id].append({"name": sync.entity, "title": entity_title(sync.entity)})
        context = {"rows": [(row, shared[row.pk]) for row in rows], "q": text, "more": len(rows) == PAGE}
        return page(self, request, "syncs/choose_records.html", "Records", None, context)

    def _list(self, request: HttpRequest, connection: Connection, entity: str, entities: list[str]) -> HttpResponse:
        wanted, deleted = request.GET.get("q", "").strip(), request.GET.get("deleted", "")
        rows = self.get_queryset(request).filter(connection=connection, entity=entity)
        if wanted:
            rows = rows.filter(_sought(wanted, connection, entity))
        elif deleted == "only":
            rows = rows.exclude(deleted_at=None)
        elif deleted != "all":
            rows = rows.filter(deleted_at=None)
        found = list(_after(rows, request.GET.get("after", "")).order_by("-changed_at", "-id").defer("raw")[: PAGE + 1])
        query = {"connection": str(connection.pk), "entity": entity, "deleted": deleted, "q": wanted}
        more = f"?{urlencode({**query, 'after': _place(found[PAGE - 1])})}" if len(found) > PAGE else ""
        context = {
            "connection": connection,
            "connection_address": reverse("admin:connections_connection_change", args=[connection.pk]),
            "entity": entity,
            "entities": [(name, entity_title(name)) for name in entities],
            "rows": [_row(record) for record in found[:PAGE]],
            "q": wanted,
            "deleted": deleted,
            "deleted_choices": list(DELETED.items()),
            "more": more,
            "first": f"?{urlencode(query)}" if request.GET.get("after") else "",
        }
        title = (
            f"{entity_title(entity)} records of “{connection.name}”" if entity else f"Records of “{connection.name}”"
        )
        return page(self, request, "syncs/record_list.html", title, None, context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None or request.method == "POST":
            raise PermissionDenied
        record = self.row_or_404(request, object_id)
        context = {"record": record, "facts": _facts(record), "unified": _unified(record), "raw": _raw(record)}
        context |= {"links": _links(record), "buttons": self.offered_buttons(request, record), **_operations(record)}
        return page(self, request, "syncs/record.html", self.row_name(record), record, context)

    def row_name(self, row: Record) -> str:
        return _title(row)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """People change no records, so there is no history of it."""
        raise Http404

    def fitting_buttons(self, request: HttpRequest, row: Record) -> Sequence[Button]:
        """What was ended, or has no connector any more, cannot be read."""
        held = row.connection
        return self.buttons if held.health != ConnectionStatus.DISCONNECTED and held.system in catalogue() else ()

    def press_refresh(self, request: HttpRequest, record: Record) -> str:
        found = refresh_record(record.connection, record.entity, record.pk)
        now = Record.objects.only("version", "deleted_at").get(pk=record.pk)
        return refreshed_line(record, now, is_gone=found.is_gone)


def _connection(text: str) -> Connection | None:
    if not text:
        return None
    try:
        value = ids.read(Connection.PREFIX, text) or UUID(text)
    except ValueError as error:
        raise Http404 from error
    found: Connection | None = Connection.objects.kept().filter(pk=value).first()
    if found is None:
        raise Http404
    return found


def _entities(connection: Connection) -> list[str]:
    return list(Sync.objects.filter(connection=connection).order_by("entity").values_list("entity", flat=True))


def _sought(text: str, connection: Connection, entity: str) -> Q:
    """Exactly this remote id, number, or shown id. All three are looked up by an index."""
    pks = [ids.derived_id(ids.namespace_of(connection.pk, entity), text)]
    shown = ids.read(ENTITIES[entity].describes.id_prefix, text) if entity in ENTITIES else None
    if shown:
        pks.append(shown)
    return Q(pk__in=pks) | Q(filters__contains={"number": text})


def _after(rows: QuerySet[Record], place: str) -> QuerySet[Record]:
    """Those that follow a place in the order newest first. A place that is none means the beginning."""
    at, _, pk = place.rpartition("_")
    try:
        moment_, last = datetime.fromisoformat(at), UUID(pk)
    except ValueError:
        return rows
    if moment_.tzinfo is None:
        return rows
    return rows.filter(changed_at__lte=moment_).filter(Q(changed_at__lt=moment_) | Q(pk__lt=last))


def _place(record: Record) -> str:
    return f"{record.changed_at.isoformat()}_{record.pk.hex}"


def _row(record: Record) -> dict[str, Any]:
    body = json.loads(body_of(record))
    return {
        "record": record,
        "number": body.get("number") or "",
        "text": body.get("name") or body.get("description") or "",
        "status": (body.get("status") or "").replace("_", " "),
    }


def _unified(record: Record) -> str:
    """The record as the API serves it: what the row itself says joins what is stored."""
    said = {"changed_at": record.changed_at, "deleted_at": record.deleted_at, "version": record.version}
    return pretty({**json.loads(body_of(record)), **said})


def _raw(record: Record) -> str:
    try:
        return pretty(json.loads(raw_of(record)))
    except (ValueError, RecursionError):
        return raw_of(record)


def _title(record: Record) -> str:
    body = json.loads(body_of(record))
    return f"{entity_title(record.entity)} {body.get('number') or record.remote_id}"


def _facts(record: Record) -> list[tuple[str, Any]]:
    spec = ENTITIES[record.entity].describes if record.entity in ENTITIES else None
    return [
        ("Remote id", record.remote_id),
        ("Id", ids.show(spec.id_prefix, record.pk) if spec else record.pk),
        ("Version", record.version),
        ("Changed in the copy", moment(record.changed_at)),
        ("Last written", moment(record.written_at)),
        ("Created at the source", moment(record.remote_created_at, empty="not said")),
        ("Changed at the source", moment(record.remote_updated_at, empty="not said")),
        ("Deleted", moment(record.deleted_at, empty="no")),
    ]


def _operations(record: Record) -> dict[str, Any]:
    """The latest writes to it."""
    rows = Operation.objects.filter(record_id=record.pk).select_related("connection").defer(*HEAVY)
    return {
        "operations": operation_rows(rows.order_by("-created_at")[:SHOWN]),
        "operations_address": f"{reverse('admin:syncs_operation_changelist')}?{urlencode({'record': str(record.pk)})}",
        "one_record": True,
    }


def _links(record: Record) -> list[dict[str, str]]:
    here = urlencode({"connection": str(record.connection_id), "entity": record.entity})
    links = [
        {
            "label": f"Connection {record.connection.name}",
            "address": reverse("admin:connections_connection_change", args=[record.connection_id]),
        },
        {"label": "All of this entity", "address": f"{reverse('admin:syncs_record_changelist')}?{here}"},
    ]
    if record.run_id and SyncRun.objects.filter(pk=record.run_id).exists():
        address = reverse("admin:syncs_syncrun_change", args=[record.run_id])
        links.append({"label": "The run that wrote it last", "address": address})
    return links
