"""Flows carried from one place to another: exported as JSON without anything of this installation, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import FieldError, ValidationFailedError
from flows.models import Flow, FlowSecret

__all__ = ["FORMAT", "export_flow", "read_export"]

FORMAT = 1
"""Of exports; definitions have a format of their own."""


def export_flow(flow: Flow) -> dict[str, Any]:
    """The draft with what people call it. Connections and secrets stay here: their names are told, to be given anew."""
    secrets = FlowSecret.objects.filter(flow_id=flow.pk).order_by("name").values_list("name", flat=True)
    return {
        "lineshaft_flow": FORMAT,
        "name": flow.name,
        "description": flow.description,
        "definition": flow.draft,
        "secrets": list(secrets),
    }


def read_export(export: Mapping[str, Any]) -> dict[str, Any]:
    """Name, description and definition of an export. Errors: ValidationFailedError with pointers below /export."""
    if export.get("lineshaft_flow") != FORMAT:
        raise _wrong("/lineshaft_flow", f"This is no export of a flow: lineshaft_flow must be {FORMAT}.")
    if not isinstance(export.get("definition"), dict):
        raise _wrong("/definition", "The export has no definition.")
    if not isinstance(export.get("name"), str):
        raise _wrong("/name", "The export has no name.")
    if not isinstance(export.get("description", ""), str):
        raise _wrong("/description", "The description must be text.")
    return {
        "name": export["name"],
        "description": export.get("description", "")[:500],
        "definition": export["definition"],
    }


def _wrong(pointer: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, errors=(FieldError(f"/export{pointer}", "INVALID_VALUE", detail),))
