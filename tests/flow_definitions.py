"""Small definitions of flows, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import ValidationFailedError
from flows.definitions.checking import read_definition

MANUAL = {"on": "manual"}


def flow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = [{"name": f"s{place}", "do": "map", "value": 1, **step} for place, step in enumerate(steps)]
    return {"connections": {"erp": {}}, "trigger": MANUAL, **more, "steps": [_tidy(step) for step in named]}


def _tidy(step: dict[str, Any]) -> dict[str, Any]:
    return step if step["do"] == "map" else {key: value for key, value in step.items() if (key, value) != ("value", 1)}


def errors(data: Any) -> dict[str, str]:
    """pointer -> code of each error."""
    with pytest.raises(ValidationFailedError) as caught:
        read_definition(data)
    assert all(error.detail for error in caught.value.errors)
    return {error.pointer: error.code for error in caught.value.errors}


def told(data: Any) -> str:
    with pytest.raises(ValidationFailedError) as caught:
        read_definition(data)
    return " | ".join(error.detail for error in caught.value.errors)


def a_map(name: str, expression: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "do": "map", "value": {"$": expression}, **more}


def loop(name: str, *steps: dict[str, Any], items: str = "trigger.body") -> dict[str, Any]:
    return {"name": name, "do": "for_each", "items": items, "steps": list(steps)}


def branch(name: str, then: list[Any], otherwise: list[Any]) -> dict[str, Any]:
    return {"name": name, "do": "condition", "if": "trigger.body", "then": then, "else": otherwise}
