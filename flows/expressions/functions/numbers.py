"""Arithmetic on numbers and on decimals written as text, such as "12.50", which is how records carry them.

Nothing is lost on the way: sums and products are exact. The result is text where an argument is text, else a number.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from flows.expressions.functions.table import FunctionFailedError, function

MAX_CHARACTERS, MAX_PLACES, DIVIDED_PLACES = 60, 20, 10
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# Enough for the product of two numbers of 60 digits.
_EXACT = Context(prec=260, rounding=ROUND_HALF_UP)
_LARGEST_WHOLE = 2**53
Amount = Decimal


def amount(value: Any, name: str) -> Amount:
    """A number or decimal text as Decimal. At most 60 characters and 60 places, so that no exponent can blow it up."""
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(text) > 400:
        raise FunctionFailedError(f"{name}() takes numbers and decimals as text, not {_told(value)}")
    if not _DECIMAL.fullmatch(text):
        raise FunctionFailedError(f"{name}() takes numbers and decimals as text such as '12.50', not other text")
    number = Decimal(text)
    places = -int(number.as_tuple().exponent)
    if max(len(text), places, number.adjusted()) > MAX_CHARACTERS:
        raise FunctionFailedError(f"{name}() takes numbers of at most {MAX_CHARACTERS} digits")
    return number


def _told(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return "one so long"
    kinds: dict[type, str] = {bool: "true or false", list: "an array", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), "this")


def _shown(number: Decimal, *sources: Any) -> str | float:
    """The result in the form of what it came from. There is one zero."""
    number = number or abs(number)
    if any(isinstance(source, str) for source in sources):
        return format(number, "f")
    if number == number.to_integral_value() and abs(number) < _LARGEST_WHOLE:
        return int(number)
    return float(number)


@function("number|string", "number|string")
def add(a: Any, b: Any) -> Any:
    return _shown(_EXACT.add(amount(a, "add"), amount(b, "add")), a, b)


@function("number|string", "number|string")
def subtract(a: Any, b: Any) -> Any:
    return _shown(_EXACT.subtract(amount(a, "subtract"), amount(b, "subtract")), a, b)


@function("number|string", "number|string")
def multiply(a: Any, b: Any) -> Any:
    return _shown(_EXACT.multiply(amount(a, "multiply"), amount(b, "multiply")), a, b)


@function("number|string", "number|string", "number", optional=1)
def divide(a: Any, b: Any, places: Any = None) -> Any:
    """With `places` exactly so many; without, at most ten, and no zeros at the end."""
    above, below = amount(a, "divide"), amount(b, "divide")
    if not below:
        raise FunctionFailedError("divide() cannot divide by 0")
    result = _EXACT.divide(above, below)
    if places is not None:
        return _shown(_rounded(result, places, "divide"), a, b)
    result = _EXACT.normalize(_rounded(result, DIVIDED_PLACES, "divide"))
    return _shown(result, a, b)


@function("number|string", "number", optional=1)
def round_(value: Any, places: Any = 0) -> Any:
    """Half away from zero, as people do it with money."""
    return _shown(_rounded(amount(value, "round"), places, "round"), value)


def _rounded(number: Decimal, places: Any, name: str) -> Decimal:
    if not isinstance(places, int) or not 0 <= places <= MAX_PLACES:
        raise FunctionFailedError(f"{name}() rounds to 0 to {MAX_PLACES} places")
    return number.quantize(Decimal(1).scaleb(-places), context=_EXACT)


@function("number|string", "number|string")
def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1: a is less than, equal to or greater than b."""
    return int(_EXACT.compare(amount(a, "compare"), amount(b, "compare")))


@function("array")
def total(values: list[Any]) -> Any:
    """The sum. Of nothing it is 0."""
    with localcontext(_EXACT):
        result = sum((amount(value, "total") for value in values), Decimal(0))
    return _shown(result, *values)


@function("array")
def min_of(values: list[Any]) -> Any:
    return min(values, key=lambda value: amount(value, "min_of")) if values else None


@function("array")
def max_of(values: list[Any]) -> Any:
    return max(values, key=lambda value: amount(value, "max_of")) if values else None


@function("")
def to_number(value: Any) -> Any:
    """As JMESPath's, but only what JSON, too, takes for a number: no `nan`, no `1_000`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if not isinstance(value, str):
        return value
    if not _DECIMAL.fullmatch(value) or len(value) > 400:
        return None
    number = float(value)
    is_whole = value.lstrip("+-").isdigit() and abs(number) < _LARGEST_WHOLE
    return int(value) if is_whole else number if math.isfinite(number) else None


@function("array-number")
def sum_(values: list[Any]) -> Any:
    return _finite(sum(values), "sum")


@function("array-number")
def avg(values: list[Any]) -> Any:
    return _finite(sum(values) / len(values), "avg") if values else None


def _finite(value: Any, name: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise FunctionFailedError(f"{name}() of these is too large a number")
    return value
