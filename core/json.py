"""Strict JSON in, fast JSON out. Django-free.

What comes in is stored in PostgreSQL and sent to other systems, so anything that one reader would take differently
from another (a key twice, NaN, half a character) is refused at the gate.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

import orjson

from core.errors import FieldError, ValidationFailedError

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 400
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

# Text that is JSON already: `dumps` puts it into its place without reading it. RawJson(text), text being str or bytes.
RawJson = orjson.Fragment

# A whole string (or an unfinished one up to the end, so that no start is tried twice), or one bracket.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class InvalidJsonError(ValidationFailedError):
    """The body is not JSON that we accept; the detail says what is wrong and, where known, at which byte."""

    default_code = "INVALID_JSON"
    http_status: ClassVar[int] = 400


class BodyTooLargeError(InvalidJsonError):
    """The body has more bytes than this route takes."""

    default_code = "BODY_TOO_LARGE"
    http_status: ClassVar[int] = 413


def loads_strict(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """Read one JSON value, or refuse it with InvalidJsonError (a ValidationFailedError) and nothing else.

    Refused: an empty body, more than `max_bytes`, bytes that are not UTF-8, arrays and objects nested deeper than
    `max_depth` (at most 200), a key twice in an object, NaN and Infinity, numbers over 400 characters, integers beyond
    signed 64 bits, floats that overflow, NUL and lone surrogates in a string or key.
    """
    if len(data) > max_bytes:
        raise BodyTooLargeError(f"The body has {len(data)} bytes; at most {max_bytes} are accepted.")
    if not data.strip():
        raise InvalidJsonError("The body is empty; send one JSON value.")
    if data.startswith(codecs.BOM_UTF8):
        raise InvalidJsonError("The body begins with a byte order mark (BOM); leave it out.")
    _refuse_deep(data, max_depth)
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"The body is not UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        position = len(text[: error.pos].encode("utf-8"))
        raise InvalidJsonError(f"The body is not valid JSON at byte {position}: {error.msg}.") from error
    # Raw control characters and surrogates were refused above; only an escape can bring one in.
    if b"\\u" in data:
        _refuse_unstorable(value)
    return value


def dumps(value: Any) -> str:
    """Render as JSON: Decimal as plain string, aware datetime as RFC 3339 UTC with Z, UUID, RawJson as it is.

    TypeError for what has no JSON form, a naive datetime included.
    """
    return encoded(value, json_default).decode()


def encoded(value: Any, default: Callable[[Any], Any]) -> bytes:
    """As `dumps`, with a `default` of one's own, in UTF-8."""
    try:
        return orjson.dumps(value, default=default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        # A jsonb column gives 1e30 back as an integer of 31 digits, which orjson does not write.
        return orjson.dumps(_spelled_out(value), default=default, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _spelled_out(value: Any) -> Any:
    """The value with integers beyond 64 bits as the digits they are."""
    if isinstance(value, Mapping):
        return {key: _spelled_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled_out(item) for item in value]
    is_large = isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER
    return RawJson(str(value)) if is_large else value


def json_default(value: object) -> Any:
    """What orjson does not render the way we promise."""
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def utc_text(value: datetime) -> str:
    """An aware time as RFC 3339 in UTC, e.g. "2026-03-01T08:00:00Z"; microseconds only where there are some."""
    if value.tzinfo is None:
        raise TypeError("a time without a zone has no JSON form")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def decimal_text(value: Decimal) -> str:
    """A finite decimal without exponent, trailing zeros kept: "1000", "12.50"."""
    if not value.is_finite():
        raise TypeError(f"{value} has no JSON form")
    # Beyond this the plain form would be thousands of zeros.
    return format(value, "f") if abs(value.adjusted()) < 100 else str(value)


def pointer(*parts: str | int) -> str:
    """An RFC 6901 pointer: pointer("lines", 0, "a/b") is "/lines/0/a~1b"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _refuse_deep(data: bytes, max_depth: int) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                raise InvalidJsonError(f"The body is nested deeper than {max_depth} levels at byte {match.start()}.")
        elif first in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJsonError(f"The key {json.dumps(key)[:100]} stands twice in one object.")
    return result


def _constant(name: str) -> Any:
    raise InvalidJsonError(f"{name} is not a JSON value.")


def _integer(text: str) -> int:
    _refuse_long(text)
    value = int(text)
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidJsonError(f"The integer {text[:30]} is beyond 64 bits; send it as a string.")
    return value


def _float(text: str) -> float:
    _refuse_long(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidJsonError(f"The number {text[:30]} is too large; send it as a string.")
    return value


def _refuse_long(text: str) -> None:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise InvalidJsonError(
            f"A number of {len(text)} characters is not accepted; at most {MAX_NUMBER_CHARACTERS} are."
        )


def _refuse_unstorable(value: Any) -> None:
    found = next(_unstorable(value, ()), None)
    if found is not None:
        detail = "NUL characters and lone surrogates cannot be stored."
        raise InvalidJsonError(
            f"A string in the body holds what is no text: {detail}",
            errors=(FieldError(pointer(*found), "INVALID_CHARACTER", detail),),
        )


def _unstorable(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Paths of strings that PostgreSQL or UTF-8 cannot hold; for a bad key the path of its object."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield path
        return
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        if isinstance(key, str) and _UNSTORABLE.search(key):
            yield path
        else:
            yield from _unstorable(item, (*path, key))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float, strict=True
)
