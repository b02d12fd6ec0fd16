"""How entities of a connection are mapped: shown, overridden, and brought back to the default."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from connections.models import Connection
from connections.screen_texts import entity_title
from connections.services import connector_of, current_override, definitions_of, effective_mapping, set_mapping
from core.admin_buttons import page
from core.admin_texts import plural, pretty
from core.errors import FieldError, LineshaftError, ValidationFailedError
from core.json import dumps, loads_strict
from integrations.registry import catalogue

__all__ = ["mapping_page", "mapping_tables"]


def mapping_tables(connection: Connection) -> list[dict[str, Any]]:
    """One table an entity: the rows in force with their origin, and the versions they come from."""
    return [_table(connection, entity) for entity in connector_of(connection).resources()]


def mapping_page(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> HttpResponse:
    """The override of one entity as JSON rows. POST stores it, or with `reset` returns to the default."""
    if connection.system not in catalogue() or entity not in connector_of(connection).resources():
        raise Http404
    if not admin.has_change_permission(request, connection):
        raise PermissionDenied
    text, errors = _override_text(connection, entity), []
    if request.method == "POST":
        text = request.POST.get("rows", "")
        try:
            _store(request, connection, entity, text)
        except LineshaftError as error:
            errors = list(error.errors) or [FieldError("", error.code, error.detail)]
        else:
            admin.log_change(request, connection, f"Mapping of {entity} changed.")
            return HttpResponseRedirect(_address(connection, entity))
    title = f"Mapping of {entity_title(entity).lower()} in “{connection.name}”"
    context = {
        "connection": connection,
        "table": _table(connection, entity),
        "rows": text,
        "errors": errors,
        "back": admin.page_address(connection),
    }
    return page(admin, request, "connections/mapping.html", title, connection, context)


def _store(request: HttpRequest, connection: Connection, entity: str, text: str) -> None:
    rows = None if "reset" in request.POST else _read(text)
    stored = set_mapping(connection, entity, rows, by=str(request.user))
    if not rows:
        messages.success(request, "The connector's default is in force.")
    elif stored is not None:
        told = f"Version {stored.version} of the override is in force with {plural(len(rows), 'row')}."
        messages.success(request, f"{told} What was copied is mapped anew by the next run.")


def _read(text: str) -> list[dict[str, Any]]:
    rows = loads_strict(text.encode() if text.strip() else b"[]")
    if not isinstance(rows, list):
        raise ValidationFailedError("The override is a JSON list of rows: [{...}, {...}].")
    return rows


def _override_text(connection: Connection, entity: str) -> str:
    """The override as the service takes it: a row with its target alone leaves the field out."""
    override = current_override(connection, entity)
    if override is None:
        return "[]"
    return pretty([_as_given(target, definition) for target, definition in definitions_of(override).items()])


def _as_given(target: str, definition: dict[str, Any]) -> dict[str, Any]:
    """A row without what is empty anyway."""
    return {"target": target, **{name: value for name, value in definition.items() if value not in (None, [], False)}}


def _table(connection: Connection, entity: str) -> dict[str, Any]:
    effective = effective_mapping(connection, entity)
    own = definitions_of(effective.override) if effective.override else {}
    rows = {**definitions_of(effective.default), **own}
    return {
        "entity": entity,
        "title": entity_title(entity),
        "address": _address(connection, entity),
        "default": effective.default,
        "override": effective.override if own else None,
        "rows": [_row(target, definition, overridden=target in own) for target, definition in rows.items()],
    }


def _row(target: str, definition: dict[str, Any], *, overridden: bool) -> dict[str, Any]:
    return {
        "target": target,
        "source": definition.get("source", ""),
        "transforms": [_transform(given) for given in definition.get("transforms") or []],
        "inside": ", ".join(item["target"] for item in definition.get("items") or []),
        "read_only": definition.get("read_only", False),
        "overridden": overridden,
        "removed": not definition,
    }


def _transform(given: dict[str, Any]) -> dict[str, str]:
    """Its name, and its parameters for who wants to know."""
    parameters = {name: value for name, value in given.items() if name != "name"}
    return {"name": given.get("name", ""), "parameters": dumps(parameters) if parameters else ""}


def _address(connection: Connection, entity: str) -> str:
    return reverse("admin:connections_connection_mapping", args=[connection.pk, entity])
