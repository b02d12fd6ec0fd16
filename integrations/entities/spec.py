"""What a mapping compiler, an API or a page needs to know of an entity, read from its pydantic declaration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Kind = Literal[
    "string",
    "text",
    "integer",
    "boolean",
    "decimal",
    "amount",
    "quantity",
    "date",
    "datetime",
    "enum",
    "reference",
    "list",
    "object",
]
UNKNOWN = "unknown"
"""What a unified choice says when the source's value has no counterpart; the raw value stands beside it."""

_DEFAULT_MAX_LENGTH = {"string": 512, "text": 65_536}


@dataclass(frozen=True)
class FieldSpec:
    """One field of an entity, a line or a nested object.

    `unit`: a fixed unit (`hours`), or the name of the field that holds it (`currency` of the document, `unit` beside).
    `values`: what an enum may hold, `unknown` always among them. `target`: the entity a reference points to.
    `item`: the fields of an object, or of each object in a list (every list holds objects).
    `max_length`: the most characters accepted in a write; what is read is never cut.
    `writable`: may be written where the connector can; False for what every source computes itself.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    values: tuple[str, ...] = ()
    target: str | None = None
    item: tuple[FieldSpec, ...] = ()
    filterable: bool = False
    writable: bool = True
    required_on_create: bool = False
    max_length: int | None = None

    @property
    def empty(self) -> Any:
        """What the record holds when the source has nothing: a new empty list, or None."""
        return [] if self.kind == "list" else None


@dataclass(frozen=True)
class EntitySpec:
    """One unified entity. `document`: it has a life and ends, so the first sync takes 90 days plus all still open."""

    name: str
    plural: str
    title: str
    id_prefix: str
    description: str
    fields: tuple[FieldSpec, ...] = ()
    document: bool = False
    open_statuses: frozenset[str] = frozenset()

    @property
    def slug(self) -> str:
        """The name in URLs: `purchase-orders`."""
        return self.plural.replace("_", "-")

    @cached_property
    def by_name(self) -> dict[str, FieldSpec]:
        return {field.name: field for field in self.fields}

    @cached_property
    def filterable(self) -> tuple[FieldSpec, ...]:
        return tuple(field for field in self.fields if field.filterable)


@dataclass(frozen=True)
class KindMark:
    """Tells strings apart in annotations: all of them are `str` to pydantic."""

    kind: Kind


def field_specs(model: type[BaseModel]) -> tuple[FieldSpec, ...]:
    """Read the field table of a model, in declaration order."""
    return tuple(_field_spec(name, info) for name, info in model.model_fields.items())


def _field_spec(name: str, info: FieldInfo) -> FieldSpec:
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    annotation = _without_none(info.annotation)
    kind = _kind(name, annotation, info.metadata)
    return FieldSpec(
        name=name,
        kind=kind,
        description=info.description or "",
        unit=extra.get("x-unit"),
        values=get_args(annotation) if kind == "enum" else (),
        target=extra.get("x-target"),
        item=_item(kind, annotation),
        filterable=extra.get("x-filterable", False),
        writable=extra.get("x-writable", True),
        required_on_create=extra.get("x-required-on-create", False),
        max_length=extra.get("x-max-length", _DEFAULT_MAX_LENGTH.get(kind)),
    )


def _without_none(annotation: Any) -> Any:
    """`X | None` -> `X`; anything else as it is."""
    if get_origin(annotation) is Literal:
        return annotation
    kept = [part for part in get_args(annotation) if part is not NoneType]
    return kept[0] if len(kept) == 1 and get_origin(annotation) is not list else annotation


def _kind(name: str, annotation: Any, metadata: list[Any]) -> Kind:
    for mark in metadata:
        if isinstance(mark, KindMark):
            return mark.kind
    if get_origin(annotation) is Literal:
        return "enum"
    if get_origin(annotation) is list:
        return "list"
    if annotation in (bool, int):
        return "boolean" if annotation is bool else "integer"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    raise TypeError(f"Field {name}: no kind is known for {annotation!r}; use a type of integrations.entities.types.")


def _item(kind: Kind, annotation: Any) -> tuple[FieldSpec, ...]:
    if kind == "object":
        return field_specs(annotation)
    if kind == "list":
        return field_specs(get_args(annotation)[0])
    return ()
