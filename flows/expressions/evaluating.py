"""What the helper process does with one request: evaluate, and refuse what is too large or has no form in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from jmespath.exceptions import JMESPathError
from jmespath.visitor import Options, TreeInterpreter

from core.errors import ValidationFailedError
from flows.expressions.errors import FAILED, TOO_LARGE
from flows.expressions.functions import FUNCTIONS, FunctionFailedError
from flows.expressions.language import error_of, parse_expression
from flows.expressions.measuring import NotStorableError, TooLargeError, measure
from flows.expressions.truth import is_true

MAX_RESULT = 256 * 1024
_OPTIONS = Options(custom_functions=FUNCTIONS)


class RefusedError(Exception):
    """The expression at `position` gives no value."""

    def __init__(self, position: int, code: str, why: str) -> None:
        super().__init__(why)
        self.position, self.code, self.why = position, code, why

    def as_json(self) -> bytes:
        return orjson.dumps([self.position, self.code, self.why.encode("utf-8", "replace").decode()[:500]])


def values_of(expressions: Sequence[str], context: Any) -> bytes:
    """The values as a JSON array. Raises RefusedError for the first that has none, or none that is small enough."""
    values: list[bytes] = []
    size = 0
    for position, text in enumerate(expressions):
        values.append(_as_json(_evaluated(text, context, position), position))
        size += len(values[-1])
        if size > MAX_RESULT:
            raise _too_large(position)
    return b"[" + b",".join(values) + b"]"


def truth_of(expression: str, context: Any) -> bytes:
    """`true` or `false`, as JSON. Raises RefusedError."""
    return b"true" if is_true(_evaluated(expression, context, 0)) else b"false"


def _evaluated(text: str, context: Any, position: int) -> Any:
    try:
        return TreeInterpreter(_OPTIONS).visit(_parsed(text), context)
    except ValidationFailedError as error:
        raise RefusedError(position, *error_of(error)) from error
    except (FunctionFailedError, NotStorableError) as error:
        raise RefusedError(position, FAILED, str(error)) from error
    except TooLargeError as error:
        raise RefusedError(position, TOO_LARGE, str(error) or "a value in it would be too large") from error
    except TypeError as error:
        raise RefusedError(position, FAILED, "values of different types cannot be compared or put together") from error
    except (JMESPathError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise RefusedError(position, FAILED, str(error) or type(error).__name__) from error
    except RecursionError as error:
        raise RefusedError(position, FAILED, "its values are nested too deep") from error


@lru_cache(maxsize=512)
def _parsed(text: str) -> Any:
    return parse_expression(text).parsed


def _as_json(value: Any, position: int) -> bytes:
    try:
        measure(value, MAX_RESULT)
        return orjson.dumps(value)
    except TooLargeError as error:
        raise _too_large(position) from error
    except NotStorableError as error:
        raise RefusedError(position, FAILED, str(error)) from error
    except TypeError as error:
        raise RefusedError(position, FAILED, f"its value has no form in JSON: {error}") from error


def _too_large(position: int) -> RefusedError:
    return RefusedError(position, TOO_LARGE, f"the result would have more than {MAX_RESULT // 1024} KiB")
