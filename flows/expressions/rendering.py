"""Values of expressions, worked out in a helper process that has 1 s and little memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core.errors import FieldError
from core.expressions import shown
from core.json import encoded, json_default
from flows.expressions import asking
from flows.expressions.errors import CONTEXT_TOO_LARGE, FAILED, INVALID, TOO_SLOW, ExpressionError
from flows.expressions.evaluating import RefusedError
from flows.expressions.templates import Place, filled, places_of

MAX_CONTEXT = 2 * 1024 * 1024
MAX_SLOW = 3
"""So many contexts of one call may be too slow; the others are not tried then."""


def render(template: Any, context: Mapping[str, Any]) -> Any:
    """The template with its expressions replaced by their values, all of them within 1 s.

    Limits: 2 MiB of JSON in the context, 256 KiB in the values together.
    Errors: ExpressionError; HelperUnavailableError (retryable) when this machine cannot start a process.
    """
    places: list[Place] = []
    for place in places_of(template):
        if isinstance(place, FieldError):
            raise ExpressionError(f"The template cannot be used: {place.detail}.", place.code, (place,))
        places.append(place)
    return filled(template, iter(_values(places, context) if places else ()))


def matches(expression: str, contexts: Sequence[Mapping[str, Any]]) -> list[bool | ExpressionError]:
    """Whether the expression is true, for each context on its own; or why that cannot be told.

    Each has 1 s and 2 MiB; after three that were too slow the rest are not tried.
    Errors: HelperUnavailableError.
    """
    results: dict[int, bool | ExpressionError] = {}
    todo: list[tuple[int, bytes]] = []
    for index, context in enumerate(contexts):
        try:
            todo.append((index, _context(context)))
        except RefusedError as error:
            results[index] = _error(error, Place((), expression))
    slow = 0
    while todo and slow < MAX_SLOW:
        asked = _batch([data for _, data in todo])
        for outcome in _truths(expression, asked):
            index, _ = todo.pop(0)
            results[index] = _judged(outcome, expression)
            slow += isinstance(outcome, RefusedError) and outcome.code == TOO_SLOW
    gave_up = RefusedError(0, TOO_SLOW, "it was too slow for others before, and was not tried any more")
    results.update((index, _error(gave_up, Place((), expression))) for index, _ in todo)
    return [results[index] for index in range(len(contexts))]


def _values(places: Sequence[Place], context: Mapping[str, Any]) -> list[Any]:
    try:
        texts = [_text(place.text, position) for position, place in enumerate(places)]
        return list(orjson.loads(asking.values(texts, _context(context))))
    except RefusedError as error:
        raise _error(error, places[error.position]) from error


def _truths(expression: str, contexts: Sequence[bytes]) -> Sequence[asking.Outcome]:
    try:
        return list(asking.truths(_text(expression, 0), contexts))
    except RefusedError as error:
        return [error]


def _batch(contexts: Sequence[bytes]) -> list[bytes]:
    """As many of the first ones as make a request of ordinary size; at least one."""
    size, count = 0, 0
    for context in contexts:
        size += len(context)
        if count and size > MAX_CONTEXT:
            break
        count += 1
    return list(contexts[:count])


def _context(context: Mapping[str, Any]) -> bytes:
    try:
        data = encoded(context, json_default)
    except (TypeError, RecursionError) as error:
        raise RefusedError(0, FAILED, f"what it may look at has no form in JSON: {error}") from error
    if len(data) > MAX_CONTEXT:
        raise RefusedError(
            0,
            CONTEXT_TOO_LARGE,
            f"what it may look at has {len(data)} bytes of JSON, and at most {MAX_CONTEXT} are accepted; "
            "let the steps before give less",
        )
    return data


def _text(text: str, position: int) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(position, INVALID, "it holds characters that are no text") from error
    return text


def _judged(outcome: asking.Outcome, expression: str) -> bool | ExpressionError:
    return _error(outcome, Place((), expression)) if isinstance(outcome, RefusedError) else outcome == b"true"


def _error(refused: RefusedError, place: Place) -> ExpressionError:
    return ExpressionError(
        f"The expression `{shown(place.text)}` gives no value: {refused.why}.",
        refused.code,
        (FieldError(place.pointer, refused.code, refused.why),),
    )
