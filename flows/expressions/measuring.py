"""How large a value would be as JSON, told before it is made: a list that holds itself twice doubles with each level."""

from __future__ import annotations

import math
from typing import Any

_WHOLE = 2**63


class TooLargeError(Exception):
    """The value would be larger than is accepted."""


class NotStorableError(Exception):
    """The value holds what is no JSON that we store; the text says what."""


def measure(value: Any, limit: int) -> None:
    """Raise TooLargeError once the value has surely more than `limit` bytes of JSON, NotStorableError for what has no form.

    It stops at the limit, however large the whole is.
    """
    size, todo = 0, [value]
    while todo:
        part = todo.pop()
        size += 2
        if isinstance(part, str):
            size += _text_size(part)
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            todo += part.values()
            size += sum(map(_text_size, part)) + 2 * len(part)
        else:
            _refuse_number(part)
        if size + len(todo) > limit:
            raise TooLargeError


def _text_size(text: str) -> int:
    if "\x00" in text:
        raise NotStorableError("the value holds a NUL character, which cannot be stored")
    return len(text)


def _refuse_number(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotStorableError("the value holds a number that is too large")
    if isinstance(value, int) and not -_WHOLE <= value < _WHOLE:
        raise NotStorableError("the value holds a whole number beyond 64 bits")
