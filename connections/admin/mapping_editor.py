"""The screen on which one entity's mapping is edited, published, compared and brought back.

Without a script it is a form with the override as JSON; the script of this page puts an editor in its place. What is
stored (raw fields, previews, how far it is applied) is known to the room above, which adds it by `mapping_extras`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from connections.admin.mappings import mapping_address, mapping_table
from connections.models import Connection
from connections.models.mappings import REASON_CHARACTERS
from connections.screen_texts import entity_title
from connections.services import connector_of, set_mapping
from connections.services.mapping_versions import (
    as_rows,
    compare_versions,
    export_mapping,
    mapping_versions,
    refuse_foreign,
    restore_version,
)
from connections.services.mappings import MappingChangedError
from core.admin_buttons import page
from core.admin_texts import plural, pretty
from core.errors import FieldError, LineshaftError, NotFoundError, ValidationFailedError
from core.json import dumps, loads_strict
from integrations.registry import catalogue
from integrations.sdk.shapes import CUSTOM_TYPES
from integrations.sdk.transform_parameters import CARDS

__all__ = ["check_editable", "mapping_page", "read_rows"]


def mapping_page(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> HttpResponse:
    """GET shows the editor (`?export` the document, `?compare=N` what version N changed); POST publishes `rows`, returns
    to the default with `reset`, or brings back the version in `restore`."""
    check_editable(admin, request, connection, entity)
    if "export" in request.GET:
        return _document(connection, entity)
    text, reason = None, ""
    errors: list[FieldError] = []
    compared = _number(request.GET.get("compare", ""))
    if request.method == "POST":
        text, reason = request.POST.get("rows"), request.POST.get("reason", "")
        try:
            told = _publish(request, connection, entity, text or "")
        except LineshaftError as error:
            errors = list(error.errors) or [FieldError("", error.code, error.detail)]
            if isinstance(error, MappingChangedError):
                compared = error.extra["current_version"]
        else:
            messages.success(request, told)
            admin.log_change(request, connection, f"Mapping of {entity} changed.")
            return HttpResponseRedirect(mapping_address(connection, entity))
    table = mapping_table(connection, entity)
    title = f"Mapping of {entity_title(entity).lower()} in “{connection.name}”"
    context = {
        "connection": connection,
        "table": table,
        "rows": pretty(as_rows(table["own"])) if text is None else text,
        "reason": reason,
        "errors": errors,
        "back": admin.page_address(connection),
        **_history(connection, entity, compared),
        "editor": _editor(connection, entity, table) | {"failed": bool(errors)},
        **admin.mapping_extras(request, connection, entity),
    }
    return page(admin, request, "connections/mapping.html", title, connection, context)


def check_editable(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> None:
    """Errors: Http404 without such an entity, PermissionDenied for who may not change the connection."""
    if connection.system not in catalogue() or entity not in connector_of(connection).resources():
        raise Http404
    if not admin.has_change_permission(request, connection):
        raise PermissionDenied


def read_rows(text: str) -> list[Any]:
    """The rows of a form. Errors: InvalidJsonError, ValidationFailedError for what is no list."""
    rows: Any = loads_strict(text.encode() if text.strip() else b"[]")
    if isinstance(rows, dict):
        rows = rows.get("rows")  # an exported document, whole
    if isinstance(rows, list):
        return rows
    raise ValidationFailedError("The override is a JSON list of rows: [{...}, {...}].")


def _publish(request: HttpRequest, connection: Connection, entity: str, text: str) -> str:
    told: dict[str, Any] = {"by": str(request.user), "reason": request.POST.get("reason", "")[:REASON_CHARACTERS]}
    told["base_version"] = _number(request.POST.get("base_version", ""))
    restored = _number(request.POST.get("restore", ""))
    if "reset" in request.POST or restored is not None:
        stored = restore_version(connection, entity, restored or 0, **told)
    else:
        rows = read_rows(text)
        if text.lstrip().startswith("{"):
            refuse_foreign(connection, entity, loads_strict(text.encode()))
        stored = set_mapping(connection, entity, rows, **told)
    if stored is None or not (count := stored.rows.count()):
        return "The connector's default is in force. What was copied is mapped anew."
    said = f"Version {stored.version} of the override is in force with {plural(count, 'row')}."
    return f"{said} What was copied is mapped anew, without asking the system."


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 8 else None


def _document(connection: Connection, entity: str) -> HttpResponse:
    body = dumps(export_mapping(connection, entity))
    name = f"{connection.system}-{entity}.mapping.json"
    return HttpResponse(
        body, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _history(connection: Connection, entity: str, asked: int | None) -> dict[str, Any]:
    """The versions, and what the one asked for changed."""
    versions = mapping_versions(connection, entity)
    context: dict[str, Any] = {
        "versions": versions,
        "current_version": next((one.mapping.version for one in versions if one.mapping.is_current), 0),
        "reason_characters": REASON_CHARACTERS,
    }
    if asked is not None:
        try:
            changes = compare_versions(connection, entity, max(asked - 1, 0), asked)
        except NotFoundError as error:
            raise Http404 from error
        context["compared"] = asked
        context["changes"] = [
            {"target": one.target, "kind": one.kind, "before": _shown(one.before), "after": _shown(one.after)}
            for one in changes
        ]
    return context


def _shown(row: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The parts of a row in words: [(part, value)]."""
    return [(name, value if isinstance(value, str) else dumps(value)) for name, value in (row or {}).items()]


def _editor(connection: Connection, entity: str, table: dict[str, Any]) -> dict[str, Any]:
    """What the script needs to know."""
    spec = connector_of(connection).resource(entity).spec
    targets = [
        {"name": each.name, "kind": each.kind, "help": each.description, "values": each.values} for each in spec.fields
    ]
    times = [{"name": name, "kind": "datetime", "help": "", "values": ()} for name in _TIMES]
    return {
        "entity": entity,
        "defaults": as_rows(table["definitions"]),
        "override": as_rows(table["own"]),
        "targets": [*targets, *times],
        "transforms": {
            name: {"title": card.title, "help": card.help, "parameters": [vars(one) for one in card.parameters]}
            for name, card in CARDS.items()
        },
        "types": list(CUSTOM_TYPES),
        "draft": f"lineshaft mapping {connection.pk} {entity}",
    }


_TIMES = ("remote_created_at", "remote_updated_at")


def editor_address(connection: Connection, entity: str, name: str) -> str:
    """Of what the script asks while one edits."""
    return reverse(f"admin:connections_connection_{name}", args=[connection.pk, entity])
