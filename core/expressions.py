"""JMESPath, the one expression language, kept small: what a person may type is bounded when it is saved.

Source of the limits: measured with jmespath 1.1, where 24 times `[@,@]|` before `to_string(@)` took 6.8 s and 168 MB,
and deep parentheses raise RecursionError.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jmespath
import jmespath.exceptions

from core.errors import FieldError, ValidationFailedError

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


@dataclass(frozen=True)
class Language:
    """What may be typed at one place: its limits, and the names of its functions.

    `brackets` counts the opening brackets of one kind, `depth` the levels of the parsed tree.
    """

    length: int
    brackets: int
    depth: int
    pipes: int
    nodes: int
    functions: frozenset[str]


MAPPINGS = Language(length=500, brackets=12, depth=24, pipes=4, nodes=60, functions=FUNCTIONS)


class Expression:
    """A checked expression. `evaluate(value)` answers plain JSON values, None when nothing is found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = parse(text)

    def evaluate(self, value: Any) -> Any:
        """Evaluate; a wrong type inside (say `sum` of text) raises ValidationFailedError."""
        try:
            return self._parsed.search(value)
        except jmespath.exceptions.JMESPathError as error:
            raise refused(self.text, "EXPRESSION_FAILED", str(error), "/source") from error


def parse(text: str, language: Language = MAPPINGS, pointer: str = "/source") -> Any:
    """The expression as jmespath's ParsedResult, or ValidationFailedError saying at `pointer` what is wrong with it."""
    if len(text) > language.length:
        raise refused(text, "EXPRESSION_TOO_LONG", f"longer than {language.length} characters", pointer)
    if max(text.count("("), text.count("["), text.count("{")) > language.brackets:
        raise refused(text, "EXPRESSION_TOO_DEEP", f"more than {language.brackets} opening brackets", pointer)
    try:
        parsed = jmespath.compile(text)
    except RecursionError as error:
        raise refused(text, "EXPRESSION_TOO_DEEP", "too deep or too many parts", pointer) from error
    except jmespath.exceptions.JMESPathError as error:
        raise refused(text, "EXPRESSION_INVALID", str(error).splitlines()[0], pointer) from error
    _check(text, parsed.parsed, language, pointer)
    return parsed


def parts(root: Any) -> Iterator[tuple[Any, int]]:
    """Each node of a parsed tree and its level, without recursion."""
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:
        node, depth = todo.pop()
        yield node, depth
        todo += [(child, depth + 1) for child in node.get("children", ()) if isinstance(child, dict)]


def refused(text: str, code: str, why: str, pointer: str) -> ValidationFailedError:
    """The error about one expression. What is no text in it is spelled out, for the error has to be shown and stored."""
    why = _plain(why)
    return ValidationFailedError(
        f"The expression `{shown(text)}` cannot be used: {why}.", errors=(FieldError(pointer, code, why),)
    )


def shown(text: str) -> str:
    """An expression as messages show it."""
    return _plain(text if len(text) <= 80 else text[:77] + "...")


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _check(text: str, root: Any, language: Language, pointer: str) -> None:
    """Count what can grow."""
    pipes = 0
    for nodes, (node, depth) in enumerate(parts(root), 1):
        pipes += node["type"] == "pipe"
        if node["type"] == "function_expression" and node["value"] not in language.functions:
            raise refused(text, "EXPRESSION_FUNCTION", f"the function {node['value']} is not available", pointer)
        if depth > language.depth or nodes > language.nodes or pipes > language.pipes:
            raise refused(text, "EXPRESSION_TOO_DEEP", "too deep or too many parts", pointer)
