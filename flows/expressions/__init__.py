"""Expressions of flows: JMESPath with a few added functions, checked when saved and evaluated in a helper process."""

from __future__ import annotations

from flows.expressions.errors import ExpressionError, HelperUnavailableError
from flows.expressions.language import check_expression
from flows.expressions.rendering import matches, render
from flows.expressions.templates import check_template
from flows.expressions.truth import is_true

__all__ = [
    "ExpressionError",
    "HelperUnavailableError",
    "check_expression",
    "check_template",
    "is_true",
    "matches",
    "render",
]
