"""A new flow from what the form says it begins with."""

from __future__ import annotations

from typing import Any

from core.errors import LineshaftError
from flows.admin.flow_forms import EMPTY, EXPORT, NewFlowForm
from flows.definitions.ready import READY
from flows.models import Flow
from flows.services.editing import create_flow, import_flow

__all__ = ["EMPTY_DEFINITION", "make_flow"]

EMPTY_DEFINITION: dict[str, Any] = {
    "format": 1,
    "trigger": {"on": "manual"},
    "steps": [{"name": "first_step", "do": "map", "value": {"$": "trigger.body"}}],
    "example": {"body": {"note": "hello"}},
}
"""The least that is a whole flow: it answers what it was started with."""


def make_flow(form: NewFlowForm, *, by: str) -> Flow | None:
    """The flow; None when the services refuse it, which is told in the form."""
    data = form.cleaned_data
    where, start = (data["workspace"], data["environment"]), data["start"]
    try:
        if start == EXPORT:
            named = {"name": data["name"]} if data["name"] else {}
            return import_flow(*where, data["export"], by=by, **named)
        definition = EMPTY_DEFINITION if start == EMPTY else READY[start].definition
        name = data["name"] or READY[start].title
        description = "" if start == EMPTY else READY[start].summary[:500]
        return create_flow(*where, name=name, description=description, definition=definition, by=by)
    except LineshaftError as error:
        for found in error.errors:
            form.add_error("name" if found.pointer == "/name" else None, f"{found.pointer}: {found.detail}")
        if not error.errors:
            form.add_error(None, error.detail)
        return None
