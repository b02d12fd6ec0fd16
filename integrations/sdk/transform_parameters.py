"""What each transform takes: for checking rows before they are used, and for forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

from core.errors import FieldError
from core.json import pointer

Kind = Literal["text", "whole_number", "number", "table", "any", "list", "choice", "zone"]


@dataclass(frozen=True)
class Parameter:
    """One parameter. `help` says what stands there; `choices` of a choice."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransformCard:
    """A transform as a form shows it."""

    title: str
    help: str
    parameters: tuple[Parameter, ...] = ()


_FORMAT = Parameter("format", "text", "How it is written, such as %d.%m.%Y")
_SEPARATOR = Parameter("separator", "text", "What stands between the parts")
CARDS: dict[str, TransformCard] = {
    "values": TransformCard(
        "Replace values",
        "By a table; what is not in it becomes `unknown`.",
        (Parameter("map", "table", "The source's value, and ours", required=True),),
    ),
    "date": TransformCard("Date", "A calendar day.", (_FORMAT,)),
    "datetime": TransformCard(
        "Date and time",
        "A moment, shown in UTC.",
        (
            Parameter("zone", "zone", "Zone of times without one, such as Europe/Berlin"),
            _FORMAT,
            Parameter("epoch", "choice", "A number since 1970", choices=("seconds", "milliseconds")),
        ),
    ),
    "minor_units": TransformCard(
        "Cents to units", "1250 becomes 12.50.", (Parameter("digits", "whole_number", "Decimals, 2 unless told"),)
    ),
    "multiply": TransformCard(
        "Multiply", "By a decimal factor.", (Parameter("by", "number", "Such as 0.01", required=True),)
    ),
    "strip_thousands": TransformCard("Drop thousands separators", "1,234.50 becomes 1234.50.", (_SEPARATOR,)),
    "join": TransformCard("Join a list", "Its values as one text, without the empty ones.", (_SEPARATOR,)),
    "split": TransformCard(
        "Take a part of a text",
        "One piece between separators.",
        (_SEPARATOR, Parameter("index", "whole_number", "Which one: 0 is the first, -1 the last")),
    ),
    "plain_text": TransformCard("HTML to plain text", "Tags go, line breaks stay."),
    "default": TransformCard(
        "Default", "Where there is nothing.", (Parameter("value", "any", "The value", required=True),)
    ),
    "constant": TransformCard(
        "Constant", "Whatever the source says.", (Parameter("value", "any", "The value", required=True),)
    ),
    "empty_is_null": TransformCard(
        "Empty values",
        "What the source writes for nothing.",
        (Parameter("values", "list", "Values that mean nothing"),),
    ),
}


def wrong_parameters(transform: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[FieldError]:
    """What is wrong with the name of a transform or the types of its parameters. Unknown ones are found when it is made."""
    name = transform.get("name")
    if not isinstance(name, str):
        yield FieldError(pointer(*path, "name"), "WRONG_TYPE", "Name the transform: a text.")
        return
    for parameter in CARDS[name].parameters if name in CARDS else ():
        if parameter.name not in transform:
            if parameter.required:
                detail = f"{name} needs `{parameter.name}`: {parameter.help}."
                yield FieldError(pointer(*path, parameter.name), "REQUIRED", detail)
            continue
        value = transform[parameter.name]
        if (told := _fault(parameter, value)) and not (value is None and parameter.name in _MAY_BE_NULL):
            yield FieldError(pointer(*path, parameter.name), "WRONG_PARAMETERS", told)


_MAY_BE_NULL = frozenset({"format", "epoch"})
_NUMBERS = (int, float, str)


def _fault(parameter: Parameter, value: Any) -> str | None:
    kind, is_flag = parameter.kind, isinstance(value, bool)
    if kind == "text" and not isinstance(value, str):
        return f"{parameter.name} must be a text."
    if kind == "whole_number" and (is_flag or not isinstance(value, int) or abs(value) > 1000):
        return f"{parameter.name} must be a whole number between -1000 and 1000."
    if kind == "number" and (is_flag or not isinstance(value, _NUMBERS) or not _is_number(value)):
        return f"{parameter.name} must be a number, best as a text such as 0.01."
    if kind == "table" and not (isinstance(value, dict) and value):
        return f"{parameter.name} must be an object: the source's value to ours."
    if kind == "list" and not isinstance(value, list):
        return f"{parameter.name} must be a list."
    if kind == "choice" and value not in parameter.choices:
        return f"{parameter.name} must be one of {', '.join(parameter.choices)}."
    if kind == "zone" and not _is_zone(value):
        return f"{parameter.name} must be a time zone such as Europe/Berlin."
    return None


def _is_zone(value: Any) -> bool:
    try:
        return isinstance(value, str) and ZoneInfo(value) is not None
    except (ValueError, OSError, KeyError):  # no such zone, or no name of a file
        return False


def _is_number(value: Any) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False
