"""What may be done through a connection: a matrix on its page, each entity on a page of its own, and what is forbidden."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from connections.choices import OverriddenOperation
from connections.models import CapabilityOverride, Connection
from connections.screen_texts import entity_title
from connections.services import NewOverride, allow_again, capabilities, connector_of, forbid, overrides_of
from connections.services.denials import PAST
from core.admin import may
from core.admin_buttons import page
from core.admin_texts import duration, moment, plural
from core.errors import LineshaftError
from integrations.registry import catalogue

__all__ = ["OPERATIONS", "capability_page", "capability_panel"]

OPERATIONS = ("read", "create", "update", "delete")
Told = dict[str, Any]


def capability_panel(request: HttpRequest, connection: Connection) -> Told:
    """The matrix, what is forbidden, and since when the account's rights are known."""
    forbidden = overrides_of(connection)
    return {
        "operations": OPERATIONS,
        "rows": [_row(connection, told) for told in capabilities(connection).values()],
        "forbidden": [_override(connection, row) for row in forbidden],
        "may_forbid": _may_forbid(request, connection),
        "probed": moment(connection.probed_at) if connection.probed_at else "",
    }


def capability_page(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> HttpResponse:
    """Everything of one entity with its reasons. POST forbids something, or with `allow` allows it again."""
    if connection.system not in catalogue() or entity not in connector_of(connection).resources():
        raise Http404
    given, error = {"operation": "update", "field": "", "reason": ""}, ""
    if request.method == "POST":
        if not _may_forbid(request, connection):
            raise PermissionDenied
        given = {name: request.POST.get(name, "").replace("\x00", "").strip() for name in given}
        try:
            told = _change(request, connection, entity, given)
        except LineshaftError as refusal:
            error = refusal.detail
        else:
            admin.log_change(request, connection, told)
            messages.success(request, told)
            return HttpResponseRedirect(_address(connection, entity))
    context = _entity(connection, capabilities(connection, entity)) | {
        "connection": connection,
        "back": admin.page_address(connection),
        "may_forbid": _may_forbid(request, connection),
        "choices": OverriddenOperation.choices,
        "given": given,
        "error": error,
    }
    title = f"What may be done with {entity_title(entity).lower()} in “{connection.name}”"
    return page(admin, request, "connections/capabilities.html", title, connection, context)


def _may_forbid(request: HttpRequest, connection: Connection) -> bool:
    return may(request, "connections.add_capabilityoverride", connection.workspace_id)


def _change(request: HttpRequest, connection: Connection, entity: str, given: dict[str, str]) -> str:
    """Do what the form says, and tell it."""
    if wanted := request.POST.get("allow"):
        gone = allow_again(connection, _uuid(wanted))
        return f"Not forbidden any more: {_what(gone.operation, gone.field)} of {entity_title(gone.entity).lower()}."
    forbid(connection, NewOverride(entity, **given), by=str(request.user))
    return f"Forbidden: {_what(given['operation'], given['field'])} of {entity_title(entity).lower()}."


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error


# --- the matrix ---------------------------------------------------------------------------------------------------------


def _row(connection: Connection, told: Told) -> Told:
    fields, supported = told["fields"].values(), told["supported"]
    reason = told["operations"]["read"]["reason"]
    return {
        "title": entity_title(told["entity"]),
        "supported": supported,
        "address": _address(connection, told["entity"]) if supported else "",
        "cells": [_cell(name, told["operations"][name]) for name in OPERATIONS],
        "actions": [_mark(action["title"], action) for action in told["actions"].values()],
        "changes": _changes(told["changes"]),
        "fields": f"{sum(field['readable'] for field in fields)} of {plural(len(fields), 'field')}" if fields else "—",
        "note": told["note"] or ("" if supported else reason["detail"]),
    }


def _cell(name: str, operation: Told) -> Told:
    """A badge; a delete says what it does there."""
    text = "Yes" if operation["supported"] else "No"
    if name == "delete" and operation["supported"]:
        text = ", ".join(dict.fromkeys(kind["kind"] for kind in operation["kinds"])) or text
    return {"name": name, **_mark(text, operation)}


def _mark(text: str, told: Told) -> Told:
    """Green: may be done. Red: somebody could allow it. Grey: our connector or the system cannot."""
    reason = told["reason"]
    if reason is None:
        limits = " ".join(rule["reason"] for rule in told.get("rules", ()) if rule["reason"])
        return {"text": text, "colour": "success", "said": "may be done", "reason": limits}
    colour = "" if reason["code"] in ("platform", "source") else "danger"
    return {"text": text, "colour": colour, "said": "may not be done", "reason": reason["detail"]}


def _changes(changes: Told | None) -> str:
    if changes is None:
        return "—"
    if changes["detection"] == "full":
        return "By comparing everything"
    return f"By change time, read again {duration(changes['overlap_seconds'])}"


def _override(connection: Connection, row: CapabilityOverride) -> Told:
    return {
        "pk": row.pk,
        "entity": entity_title(row.entity),
        "what": _what(row.operation, row.field),
        "reason": row.reason,
        "by": row.created_by,
        "at": moment(row.created_at),
        "address": _address(connection, row.entity),
    }


def _what(operation: str, field: str) -> str:
    return f"{operation} {field}" if field else f"{operation} as a whole"


def _address(connection: Connection, entity: str) -> str:
    return reverse("admin:connections_connection_capabilities", args=[connection.pk, entity])


# --- one entity ---------------------------------------------------------------------------------------------------------


def _entity(connection: Connection, told: Told) -> Told:
    fields = _flat(told["fields"])
    return {
        "entity": told,
        "operation_rows": [_operation_row(name, told["operations"][name]) for name in OPERATIONS],
        "action_rows": [_action_row(name, action) for name, action in told["actions"].items()],
        "field_rows": [_field_row(name, field) for name, field in fields.items() if _is_mapped(field)],
        "unmapped": [name for name, field in fields.items() if not _is_mapped(field)],
        "field_names": [*(name for name, field in fields.items() if field["writable"]), *told["actions"]],
        "forbidden": [_override(connection, row) for row in overrides_of(connection) if row.entity == told["entity"]],
    }


def _operation_row(name: str, told: Told) -> Told:
    kinds = [
        f"{kind['kind']} while {_statuses(kind['only_status'])}" if kind["only_status"] else kind["kind"]
        for kind in told.get("kinds", ())
    ]
    limits = [*kinds, *(_rule(rule) for rule in told["rules"])] if told["supported"] else []
    return {**_cell(name, told), "limits": limits, "reason": told["reason"]["detail"] if told["reason"] else ""}


def _rule(rule: Told) -> str:
    """The rule in words."""
    about = f"{', '.join(rule['fields'])}: " if rule["fields"] else ""
    only = f"only while {_statuses(rule['only_status'])}" if rule["only_status"] else ""
    unless = f"not while {_statuses(rule['unless_status'])}" if rule["unless_status"] else ""
    why = f" ({rule['reason'].rstrip('.')})" if rule["reason"] else ""
    return f"{about}{' and '.join(filter(None, (only, unless)))}{why}"


def _action_row(name: str, told: Told) -> Told:
    asked = [f"{one['name']}{'' if one['required'] else ' (optional)'}" for one in told["parameters"]]
    return {
        **_mark(told["title"], told),
        "name": name,
        "only": _statuses(told["only_status"]) or "any status",
        "to": _statuses(told["to_status"]) or "—",
        "asked": ", ".join(asked) or "nothing",
        "reason": told["reason"]["detail"] if told["reason"] else told["help"],
    }


def _is_mapped(told: Told) -> bool:
    return bool(told["readable"] or told["writable"])


def _field_row(name: str, told: Told) -> Told:
    statuses = told["writable_in_status"]
    why = dict.fromkeys(reason["detail"] for reason in told["reasons"].values())
    return {
        "name": name,
        "kind": told["kind"],
        "required": told["required"],
        "may": ", ".join([*(["read"] if told["readable"] else []), *(PAST[name] for name in told["writable_in"])]),
        "statuses": _statuses(statuses) if statuses is not None else ("any" if "update" in told["writable_in"] else ""),
        "why": list(why),
    }


def _statuses(names: list[str]) -> str:
    return ", ".join(names)


def _flat(fields: dict[str, Told], prefix: str = "") -> dict[str, Told]:
    found: dict[str, Told] = {}
    for name, field in fields.items():
        found[prefix + name] = field
        found |= _flat(field.get("items", {}), f"{prefix}{name}.")
    return found
