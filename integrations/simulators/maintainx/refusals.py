"""Refusals in the two shapes this API has."""

from __future__ import annotations

from collections.abc import Iterable

from integrations.simulators.kit.entities import Problem
from integrations.simulators.kit.messages import Body, RefusalError, Request


def refusal(message: str, status: int = 400) -> RefusalError:
    """About a query, an address or a rule."""
    return RefusalError(status, {"error": message})


def invalid(problems: Iterable[Problem]) -> RefusalError:
    """About fields of a body."""
    return RefusalError(
        400,
        {"errors": [{"error": one.message, "fieldPath": one.field, "fieldValue": one.value} for one in problems]},
    )


def body_of(request: Request) -> Body:
    """The body, which must be a JSON object."""
    try:
        body = request.parsed()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refusal("The body must be a JSON object.")
    return body
