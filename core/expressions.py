"""JMESPath, the one expression language, kept small: what a person may type is bounded when it is saved.

Source of the limits: measured with jmespath 1.1, where 24 times `[@,@]|` before `to_string(@)` took 6.8 s and 168 MB,
and deep parentheses raise RecursionError.
"""

from __future__ import annotations

from typing import Any

import jmespath
import jmespath.exceptions

from core.errors import FieldError, ValidationFailedError

MAX_LENGTH, MAX_DEPTH, MAX_PIPES, MAX_NODES = 500, 12, 4, 60
FUNCTIONS = frozenset(
    [
        "abs",
        "avg",
        "ceil",
        "contains",
        "ends_with",
        "floor",
        "join",
        "keys",
        "length",
        "max",
        "min",
        "not_null",
        "reverse",
        "sort",
        "starts_with",
        "sum",
        "to_array",
        "to_number",
        "to_string",
        "type",
        "values",
    ]
)


class Expression:
    """A checked expression. `evaluate(value)` answers plain JSON values, None when nothing is found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = _parse(text)

    def evaluate(self, value: Any) -> Any:
        """Evaluate; a wrong type inside (say `sum` of text) raises ValidationFailedError."""
        try:
            return self._parsed.search(value)
        except jmespath.exceptions.JMESPathError as error:
            raise _refused(self.text, "EXPRESSION_FAILED", str(error)) from error


def _parse(text: str) -> Any:
    if len(text) > MAX_LENGTH:
        raise _refused(text, "EXPRESSION_TOO_LONG", f"longer than {MAX_LENGTH} characters")
    if max(text.count("("), text.count("["), text.count("{")) > MAX_DEPTH:
        raise _refused(text, "EXPRESSION_TOO_DEEP", f"more than {MAX_DEPTH} opening brackets")
    try:
        parsed = jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        raise _refused(text, "EXPRESSION_INVALID", str(error).splitlines()[0]) from error
    _check(text, parsed.parsed)
    return parsed


def _check(text: str, root: Any) -> None:
    """Walk the tree without recursion, counting what can grow."""
    nodes = pipes = 0
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:
        node, depth = todo.pop()
        nodes += 1
        pipes += node["type"] == "pipe"
        if node["type"] == "function_expression" and node["value"] not in FUNCTIONS:
            raise _refused(text, "EXPRESSION_FUNCTION", f"the function {node['value']} is not available")
        if depth > MAX_DEPTH * 2 or nodes > MAX_NODES or pipes > MAX_PIPES:
            raise _refused(text, "EXPRESSION_TOO_DEEP", "too deep or too many parts")
        todo += [(child, depth + 1) for child in node.get("children", ()) if isinstance(child, dict)]


def _refused(text: str, code: str, why: str) -> ValidationFailedError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return ValidationFailedError(
        f"The expression `{shown}` cannot be used: {why}.", errors=(FieldError("/source", code, why),)
    )
