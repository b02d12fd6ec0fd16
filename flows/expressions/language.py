"""What may be written as an expression of a flow. Checked when a flow is saved, and once more before it is evaluated."""

from __future__ import annotations

from typing import Any

import orjson

from core.errors import ValidationFailedError
from core.expressions import FUNCTIONS as OF_MAPPINGS
from core.expressions import Language, parse, parts, refused
from flows.expressions.errors import INVALID
from flows.expressions.functions import ADDED
from flows.expressions.functions.table import arity_error, takes_expression
from flows.expressions.measuring import NotStorableError, measure

OF_JMESPATH = OF_MAPPINGS | {"map", "max_by", "merge", "min_by", "sort_by"}
# Higher than those of mappings, for a helper process bounds what is evaluated. The depth keeps Python's stack far away.
FLOWS = Language(length=1000, brackets=60, depth=40, pipes=16, nodes=300, functions=OF_JMESPATH | frozenset(ADDED))

# Nodes that look into their first part. In true or false there is nothing to be seen.
_LOOK_INTO = ("subexpression", "index_expression", "projection", "filter_projection", "value_projection", "flatten")
_ALONE = "`&` may stand only before an argument such as that of sort_by(lines, &price)"
_NO_TEXT = "it holds characters that are no text"


def check_expression(text: str, pointer: str) -> None:
    """Refuse with ValidationFailedError, its one FieldError at `pointer`, what could not be evaluated at all."""
    parse_expression(text, pointer)


def parse_expression(text: str, pointer: str = "") -> Any:
    """The expression as jmespath's ParsedResult. Raises what `check_expression` does."""
    if "\x00" in text or (not text.isprintable() and _has_surrogate(text)):
        raise refused(text, INVALID, _NO_TEXT, pointer)
    if not text.strip():
        raise refused(text, INVALID, "it is empty", pointer)
    parsed = parse(text, FLOWS, pointer)
    for node, level in parts(parsed.parsed):
        wrong = _ALONE if level == 1 and node["type"] == "expref" else _wrong_value(node) or _wrong_arguments(node)
        if wrong:
            raise refused(text, INVALID, wrong, pointer)
    return parsed


def error_of(error: ValidationFailedError) -> tuple[str, str]:
    """Code and reason of what `check_expression` raised."""
    return error.errors[0].code, error.errors[0].detail


def _wrong_value(node: Any) -> str | None:
    """Literals and quoted names are read by Python's json, which takes NaN, 1e999 and half characters for values."""
    try:
        measure(node.get("value"), FLOWS.length * 4)
        orjson.dumps(node.get("value"))
    except NotStorableError as error:
        return str(error)
    except TypeError:
        return _NO_TEXT
    return None


def _wrong_arguments(node: Any) -> str | None:
    """Count the arguments of functions; `&price` may stand only where a function takes one."""
    name = node.get("value") if node["type"] == "function_expression" else None
    arguments = [child for child in node.get("children", ()) if isinstance(child, dict)]
    if arguments and arguments[0]["type"] == "not_expression" and node["type"] in _LOOK_INTO:
        return "`!` holds tighter than a dot: write !(a.b) for !a.b"
    for position, argument in enumerate(arguments):
        is_expression, wanted = argument["type"] == "expref", name is not None and takes_expression(name, position)
        if is_expression and not wanted:
            return _ALONE
        if wanted and not is_expression:
            return f"{name}() takes an expression such as `&price` as argument {position + 1}"
    return arity_error(name, len(arguments)) if name is not None else None


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
