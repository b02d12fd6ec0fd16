"""What pydantic says of a definition's form, as our errors: with JSON pointers into the definition, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from core.errors import FieldError
from core.json import pointer
from flows.definitions.model import Definition, OnError, Step, Trigger
from flows.definitions.words import did_you_mean, is_close, shown

__all__ = ["form_errors"]

Location = tuple[int | str, ...]
_PATTERNS = {
    "^[a-z]": "Use lower-case letters, digits and _, beginning with a letter; at most 40 characters.",
    "^custom": "Use custom. and words of lower-case letters, digits and _, such as custom.order.late.",
}


def _by_tag(union: Any, name: str) -> dict[str, type[BaseModel]]:
    """The models of a union by what they say in the field that tells them apart."""
    models = get_args(get_args(union)[0])
    return {tag: model for model in models for tag in get_args(model.model_fields[name].annotation)}


_STEPS, _TRIGGERS = _by_tag(Step, "do"), _by_tag(Trigger, "on")
_MEMBERS = {**_STEPS, **_TRIGGERS, "OnError": OnError}


def form_errors(error: ValidationError) -> list[FieldError]:
    """One for each wrong value, in the order they stand."""
    found = error.errors(include_url=False)
    return [_told(one["type"], one) for one in found if not _is_other_branch(one)]


def _told(kind: str, error: Mapping[str, Any]) -> FieldError:
    path, owner = _place(error["loc"])
    context = error.get("ctx") or {}
    if kind == "missing":
        return FieldError(pointer(*path), "REQUIRED", f"{path[-1]} is needed.")
    if kind == "extra_forbidden":
        detail = f"There is no {shown(path[-1])} here. {did_you_mean(path[-1], _fields(owner))}"
        return FieldError(pointer(*path), "UNKNOWN_FIELD", detail)
    if kind.startswith("union_tag"):
        return _kind_error(path, error["input"], context)
    return FieldError(pointer(*path), "TOO_LONG" if kind.endswith("too_long") else "INVALID_VALUE", _words(kind, error))


def _kind_error(path: Location, value: Any, context: Mapping[str, Any]) -> FieldError:
    name = context["discriminator"].strip("'")
    known, what = (_TRIGGERS, "trigger") if name == "on" else (_STEPS, "step")
    if not isinstance(value, dict) or name not in value:
        detail = f"{name} is needed: it says what kind of {what} it is, one of {', '.join(known)}."
        return FieldError(pointer(*path, name), "REQUIRED", detail)
    close = f"{did_you_mean(value[name], known)} " if is_close(value[name], known) else ""
    detail = f"There is no {what} {shown(value[name])}. {close}Known: {', '.join(known)}."
    return FieldError(pointer(*path, name), "UNKNOWN_KIND", detail)


def _words(kind: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    if kind == "string_pattern_mismatch":
        return next(text for start, text in _PATTERNS.items() if context["pattern"].startswith(start))
    if kind == "literal_error":
        return f"Use {context['expected']}."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "It must be an object."
    said = re.sub(r"^(Input|String|List|Dictionary|Value) should", "It must", str(error["msg"]))
    said = said.replace("be a valid integer", "be a whole number").replace("be a valid string", "be a text")
    return said.replace(" after validation", "").replace("be a valid ", "be a ") + "."


def _is_other_branch(error: Mapping[str, Any]) -> bool:
    """Of `on_error`, which is a word or an object, only what fits to what was written is told."""
    loc: Location = error["loc"]
    if len(loc) < 2 or loc[-2] != "on_error":
        return False
    return bool(error["type"] == ("literal_error" if isinstance(error["input"], dict) else "model_type"))


# --- from pydantic's location to ours ---------------------------------------------------------------------------------


def _place(loc: Location) -> tuple[Location, type[BaseModel]]:
    """The path in the definition, and the model that its last part is of.

    Pydantic puts the branches of unions it took into its locations: where a union stands, the next part names one.
    """
    path: list[int | str] = []
    at: Any = Definition
    owner: type[BaseModel] = Definition
    for part in loc:
        at = _plain(at)
        if _is_union(at):
            at = _MEMBERS.get(str(part))
            continue
        if part == "[key]":
            break
        if isinstance(at, type) and issubclass(at, BaseModel):
            owner = at
        path.append(part)
        at = _inside(at, part)
    return tuple(path), owner


def _inside(at: Any, part: int | str) -> Any:
    """What stands in a model's field, a list or an object; None where anything may stand."""
    if get_origin(at) in (list, dict):
        return get_args(at)[-1]
    if isinstance(at, type) and issubclass(at, BaseModel):
        return next((info.annotation for name, info in at.model_fields.items() if part in (info.alias, name)), None)
    return None


def _plain(at: Any) -> Any:
    """Without what is said about a type, and without `| None`, which makes no branch."""
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    if get_origin(at) in (Union, UnionType):
        kept = [each for each in get_args(at) if each is not NoneType]
        return _plain(kept[0]) if len(kept) == 1 else at
    return at


def _is_union(at: Any) -> bool:
    return get_origin(at) in (Union, UnionType)


def _fields(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]
