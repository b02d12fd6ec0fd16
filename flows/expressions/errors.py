"""What can go wrong with an expression."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import TransientError, ValidationFailedError, WhoMustAct

FAILED, INVALID = "EXPRESSION_FAILED", "EXPRESSION_INVALID"
TOO_SLOW, TOO_LARGE, CONTEXT_TOO_LARGE = "EXPRESSION_TOO_SLOW", "EXPRESSION_TOO_LARGE", "CONTEXT_TOO_LARGE"


@dataclass(eq=False)
class ExpressionError(ValidationFailedError):
    """An expression gave no value: wrong types in it, too slow, too large. Trying again does not help.

    `code` is EXPRESSION_FAILED, EXPRESSION_TOO_SLOW, EXPRESSION_TOO_LARGE, CONTEXT_TOO_LARGE, or one of those that
    `check_expression` gives to its errors. `errors` has one entry, whose pointer leads into the template.
    """

    default_code = FAILED


@dataclass(eq=False)
class HelperUnavailableError(TransientError):
    """The helper process could not be started: this machine is short of memory or processes."""

    default_code = "EXPRESSION_HELPER_UNAVAILABLE"
    who_must_act = WhoMustAct.OPERATOR
