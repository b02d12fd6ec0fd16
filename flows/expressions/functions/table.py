"""How a function is added to JMESPath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jmespath import exceptions, functions

ADDED: dict[str, dict[str, Any]] = {}
Function = Callable[..., Any]


class FunctionFailedError(Exception):
    """A function refuses its arguments; the text says why, without the values themselves."""


def function(*types: str, optional: int = 0, variadic: bool = False) -> Callable[[Function], Function]:
    """Add a function under its Python name, without a trailing underscore.

    `types` are those of its arguments, as JMESPath names them, with | between alternatives and "" for any. The last
    `optional` ones may be left out; the last one of a `variadic` function may come several times.
    """

    def add(body: Function) -> Function:
        signature: list[dict[str, Any]] = [{"types": kind.split("|") if kind else []} for kind in types]
        if variadic:
            signature[-1]["variadic"] = True
        for argument in signature[len(signature) - optional :]:
            argument["optional"] = True
        ADDED[body.__name__.rstrip("_")] = {"function": lambda _, *given: body(*given), "signature": signature}
        return body

    return add


def arity_error(name: str, count: int) -> str | None:
    """What is wrong with so many arguments, if anything."""
    signature = FlowFunctions.FUNCTION_TABLE[name]["signature"]
    least = sum(not argument.get("optional") for argument in signature)
    if count >= least and (count <= len(signature) or signature[-1].get("variadic")):
        return None
    if signature and signature[-1].get("variadic"):
        told = f"at least {least}"
    else:
        told = str(least) if least == len(signature) else f"{least} to {len(signature)}"
    return f"{name}() takes {told} argument{'' if told in ('1', 'at least 1') else 's'}, not {count}"


def takes_expression(name: str, position: int) -> bool:
    """Whether the argument is one like `&price`."""
    signature = FlowFunctions.FUNCTION_TABLE[name]["signature"]
    return position < len(signature) and signature[position]["types"] == ["expref"]


class FlowFunctions(functions.Functions):
    """JMESPath's functions, with optional arguments."""

    FUNCTION_TABLE: dict[str, dict[str, Any]]

    def _validate_arguments(self, args: list[Any], signature: list[dict[str, Any]], function_name: str) -> None:
        wrong = arity_error(function_name, len(args))
        if wrong:
            raise FunctionFailedError(wrong)
        for position, (value, argument) in enumerate(zip(args, signature, strict=False), 1):
            if argument["types"]:
                self._check_argument(value, argument["types"], function_name, position)

    def _check_argument(self, value: Any, types: list[str], name: str, position: int) -> None:
        try:
            self._type_check_single(value, types, name)  # type: ignore[attr-defined]
        except exceptions.JMESPathTypeError as error:
            given = functions.TYPES_MAP.get(error.actual_type, error.actual_type)
            wanted = " or ".join(kind.replace("array-", "array of ") for kind in types)
            inside = ", and there is a" if isinstance(value, list) and given != "array" else ", not"
            raise FunctionFailedError(f"{name}() takes {wanted} as argument {position}{inside} {given}") from error


def evaluated(expression: Any, value: Any) -> Any:
    """The value of an argument like `&price` for one item."""
    return expression.visit(expression.expression, value)
