"""Steps to begin with, made from the form of a definition, so that none is forgotten when the form grows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from flows.definitions.model import Step, StepBase

__all__ = ["snippets"]

_EXAMPLES: Mapping[str, Any] = {
    "connection": "erp",
    "entity": "purchase_order",
    "id": {"$": "trigger.record.id"},
    "body": {"notes": {"$": "trigger.body.note"}},
    "action": "approve",
    "url": "https://example.com/hooks",
    "value": {"$": "trigger.body"},
    "if": "trigger.body.is_urgent",
    "items": "trigger.body.lines",
    "type": "custom.something_happened",
    "steps": [{"name": "each_value", "do": "map", "value": {"$": "item"}}],
}
"""What stands in a field that a step must have."""
_MORE: Mapping[str, Mapping[str, Any]] = {
    "condition": {"then": [{"name": "then_value", "do": "map", "value": "yes"}]},
    "get_record": {"id": _EXAMPLES["id"]},
    "http_request": {"method": "POST", "body": {"note": {"$": "trigger.body.note"}}},
    "wait": {"seconds": 3600},
    "list_records": {"limit": 100},
}
"""What a step is of no use without, though the form leaves it open."""


@cache
def snippets() -> list[dict[str, str]]:
    """Of each kind of step: what it does, its first sentence of documentation, and a step as text."""
    return [_snippet(kind) for kind in get_args(get_args(Step)[0])]


def _snippet(kind: type[StepBase]) -> dict[str, str]:
    (do,) = get_args(kind.model_fields["do"].annotation)
    step: dict[str, Any] = {"name": f"{do}_1", "do": do}
    for name, field in kind.model_fields.items():
        shown = field.alias or name
        if field.is_required() and shown not in step:
            step[shown] = _EXAMPLES[shown]
    step |= _MORE.get(do, {})
    told = " ".join((kind.__doc__ or "").split()).partition(". ")[0].rstrip(".")
    return {"do": do, "told": told, "text": json.dumps(step, indent=2)}
