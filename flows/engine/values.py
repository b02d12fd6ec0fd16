"""A step's expressions replaced by their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.definitions.model import Condition
from flows.engine.turn import Step
from flows.expressions import is_true, render


def is_wanted(step: Step, context: Mapping[str, Any]) -> bool:
    """Whether the step's `when` is true. Errors: ExpressionError."""
    return step.when is None or is_true(render({"$": step.when}, context))


def values_of(step: Step, context: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into the step, by the names of its fields as they stand in a definition; `if` as true or false.

    Errors: ExpressionError.
    """
    templates = {name: getattr(step, name) for name in step.TEMPLATES}
    expressions = {name.rstrip("_"): {"$": getattr(step, name)} for name in step.EXPRESSIONS}
    values: dict[str, Any] = render({**templates, **expressions}, context)
    return {"if": is_true(values["if"])} if isinstance(step, Condition) else values
