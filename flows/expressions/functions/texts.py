"""Text. No regular expressions: there is no bound to what they cost."""

from __future__ import annotations

from typing import Any

import orjson

from flows.expressions.functions.table import FunctionFailedError, function
from flows.expressions.measuring import TooLargeError, measure

MAX_TEXT, MAX_WIDTH = 1024 * 1024, 1000


@function("string")
def lower(text: str) -> str:
    return text.lower()


@function("string")
def upper(text: str) -> str:
    return text.upper()


@function("string")
def trim(text: str) -> str:
    """Without white space at both ends."""
    return text.strip()


@function("string", "string")
def split(text: str, separator: str) -> list[str]:
    if not separator:
        raise FunctionFailedError("split() needs a separator of at least one character")
    return text.split(separator)


@function("string", "string", "string")
def replace(text: str, old: str, new: str) -> str:
    """Each occurrence."""
    if not old:
        raise FunctionFailedError("replace() needs a text of at least one character to look for")
    _bound(len(text) + text.count(old) * (len(new) - len(old)), "replace")
    return text.replace(old, new)


@function("string", "number", "number", optional=1)
def substring(text: str, start: Any, length: Any = None) -> str:
    """From `start`, counted from 0, or from the end where it is negative; to the end without `length`."""
    if not isinstance(start, int) or not (length is None or (isinstance(length, int) and length >= 0)):
        raise FunctionFailedError("substring() takes whole numbers as start and length, the length not below 0")
    begin = start if start >= 0 else max(0, len(text) + start)
    return text[begin:] if length is None else text[begin : begin + length]


@function("string", "number", "string", optional=1)
def pad_left(text: str, width: Any, character: str = " ") -> str:
    """Filled up in front; longer text stays as it is."""
    if not isinstance(width, int) or not 0 <= width <= MAX_WIDTH or len(character) != 1:
        raise FunctionFailedError(f"pad_left() takes a width of 0 to {MAX_WIDTH} and one character")
    return text.rjust(width, character)


@function("string", "array")
def join(separator: str, texts: list[Any]) -> str:
    if not all(isinstance(text, str) for text in texts):
        raise FunctionFailedError("join() takes texts only: leave out nulls, and write numbers with to_string()")
    _bound(sum(map(len, texts)) + len(separator) * len(texts), "join")
    return separator.join(texts)


@function("")
def to_string(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        measure(value, MAX_TEXT)
    except TooLargeError as error:
        raise _too_long("to_string") from error
    return orjson.dumps(value).decode()


def _bound(length: int, name: str) -> None:
    if length > MAX_TEXT:
        raise _too_long(name)


def _too_long(name: str) -> TooLargeError:
    return TooLargeError(f"{name}() would give more than {MAX_TEXT} characters")
