"""What a list of records can be filtered by: one declaration for reading, refusing and documenting parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core import ids
from core.ids import derived_id, namespace_of
from core.json import utc_text
from core.parameters import boolean_from, date_from, datetime_from, text_from, wrong_parameter
from integrations.entities import ENTITIES, Entity, FieldSpec
from syncs.records import Between, Selection

MAX_VALUES = 100
MAX_FILTER_CHARACTERS = 4000
INCLUDES = ("raw",)
_ANY_OF = "Several values, comma separated, mean any of them."


@dataclass(frozen=True)
class Shown:
    """How records are shown: beside the unified fields (`raw`), and which references in full."""

    raw: bool
    expand: tuple[FieldSpec, ...]


def selection_from(request: Request, entity: type[Entity], connection_id: UUID) -> Selection:
    """The records the caller asks for. BadRequestError names the parameter that cannot be read."""
    any_of: dict[str, list[str]] = {}
    ranges: list[Between] = []
    for field in entity.spec().filterable:
        if field.kind in _RANGES:
            ranges += _range(request, field)
        if field.kind == "reference":
            wanted = _references(request, field, connection_id)
        else:
            wanted = _VALUES[field.kind](request, field)
        if wanted:
            any_of[field.name] = wanted
    return Selection(
        ids=_remote_ids(request, "remote_id", entity.describes.name, connection_id),
        modified_after=datetime_from(request, "modified_after"),
        remote_modified_after=datetime_from(request, "remote_modified_after"),
        remote_created_after=datetime_from(request, "remote_created_after"),
        any_of=any_of,
        ranges=ranges,
        include_deleted=boolean_from(request, "include_deleted"),
    )


def shown_from(request: Request, entity: type[Entity]) -> Shown:
    """`?include` and `?expand`."""
    references = {field.name: field for field in references_of(entity)}
    include = _among(request, "include", INCLUDES)
    expand = _among(request, "expand", tuple(references))
    return Shown(raw="raw" in include, expand=tuple(references[name] for name in expand))


@cache
def references_of(entity: type[Entity]) -> tuple[FieldSpec, ...]:
    """The references that can be expanded: those of the record itself, not of its lines."""
    return tuple(field for field in entity.spec().fields if field.kind == "reference")


@cache
def list_parameters(entity: type[Entity]) -> tuple[OpenApiParameter, ...]:
    """Every query parameter of the entity's list, but for `connection`."""
    title = entity.describes.title.lower()
    return (
        OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
        _moment("modified_after", "Only what changed in our copy after this time (`changed_at`)"),
        _moment("remote_modified_after", "Only what changed at the source after this time (`remote_updated_at`)"),
        _moment("remote_created_after", "Only what was created at the source after this time (`remote_created_at`)"),
        OpenApiParameter("remote_id", str, description=f"The source's id of the {title}. {_ANY_OF}"),
        *(parameter for field in entity.spec().filterable for parameter in _documented(field)),
        *one_parameters(entity),
    )


@cache
def one_parameters(entity: type[Entity]) -> tuple[OpenApiParameter, ...]:
    """Query parameters of one record, but for `connection`."""
    found = [
        OpenApiParameter("include", str, enum=INCLUDES, description="`raw`: the object as the source sent it"),
        OpenApiParameter("include_deleted", bool, description="Also what was deleted at the source, as tombstones"),
    ]
    names = [field.name for field in references_of(entity)]
    if names:
        text = f"References to replace by the whole record, comma separated: {', '.join(f'`{n}`' for n in names)}"
        found.append(OpenApiParameter("expand", str, description=text))
    return tuple(found)


def _moment(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", "format": "date-time"}, description=description)


def _documented(field: FieldSpec) -> Iterable[OpenApiParameter]:
    if field.kind == "reference":
        target = ENTITIES[field.target or ""].describes
        ours = f"Our id of the {target.title.lower()} (`{target.id_prefix}_...`). {_ANY_OF}"
        yield OpenApiParameter(field.name, str, description=ours)
        yield OpenApiParameter(f"{field.name}_remote_id", str, description=f"The source's id of it. {_ANY_OF}")
    elif field.kind == "enum":
        known = ", ".join(f"`{value}`" for value in field.values)
        yield OpenApiParameter(field.name, str, description=f"{field.description} One of {known}. {_ANY_OF}")
    elif field.kind in _RANGES:
        form = {"type": "string", "format": "date" if field.kind == "date" else "date-time"}
        if field.kind == "date":
            yield OpenApiParameter(field.name, form, description=field.description)
        yield OpenApiParameter(f"{field.name}_from", form, description=f"{field.description} From then on, included.")
        yield OpenApiParameter(f"{field.name}_to", form, description=f"{field.description} Up to then, included.")
    else:
        whole = "A value that holds a comma itself is found as well."
        yield OpenApiParameter(field.name, str, description=f"{field.description} {_ANY_OF} {whole}")


def _values(request: Request, name: str) -> list[str]:
    text = text_from(request, name, max_length=MAX_FILTER_CHARACTERS)
    values = list(dict.fromkeys(text.split(","))) if text else []
    if len(values) > MAX_VALUES:
        raise wrong_parameter(name, f"holds more than {MAX_VALUES} values")
    if "" in values:
        raise wrong_parameter(name, "holds an empty value; separate values by single commas")
    return values


def _texts(request: Request, field: FieldSpec) -> list[str]:
    """Any of the values; and since a text may hold a comma itself, the whole of it too."""
    text = text_from(request, field.name, max_length=MAX_FILTER_CHARACTERS)
    parts = [part for part in (text or "").split(",") if part]
    if len(parts) > MAX_VALUES:
        raise wrong_parameter(field.name, f"holds more than {MAX_VALUES} values")
    return list(dict.fromkeys([*parts, text])) if text else []


def _choices(request: Request, field: FieldSpec) -> list[str]:
    return _among(request, field.name, field.values)


def _among(request: Request, name: str, known: tuple[str, ...]) -> list[str]:
    values = _values(request, name)
    for value in values:
        if value not in known:
            raise wrong_parameter(name, f"may be {', '.join(known)}, comma separated")
    return values


def _day(request: Request, field: FieldSpec) -> list[str]:
    day = date_from(request, field.name)
    return [] if day is None else [day.isoformat()]


def _references(request: Request, field: FieldSpec, connection_id: UUID) -> list[str]:
    """Stored are our ids; the id of a remote id is derived, known or not."""
    target = ENTITIES[field.target or ""].describes
    ours = _values(request, field.name)
    for value in ours:
        if ids.read(target.id_prefix, value) is None:
            raise wrong_parameter(field.name, f"must be ids that begin with {target.id_prefix}_")
    theirs = _remote_ids(request, f"{field.name}_remote_id", target.name, connection_id)
    if theirs is None:
        return ours
    derived = [f"{target.id_prefix}_{value.hex}" for value in theirs]
    if ours:
        raise wrong_parameter(f"{field.name}_remote_id", f"and ?{field.name} exclude each other; send one of them")
    return derived


def _remote_ids(request: Request, name: str, entity: str, connection_id: UUID) -> list[UUID] | None:
    values = _values(request, name)
    if not values:
        return None
    namespace = namespace_of(connection_id, entity)
    # A remote id may hold a comma itself.
    return [derived_id(namespace, value) for value in dict.fromkeys([*values, ",".join(values)])]


def _range(request: Request, field: FieldSpec) -> list[Between]:
    low, high = (_bound(request, f"{field.name}_{end}", field) for end in ("from", "to"))
    cast = "text" if field.kind == "date" else "timestamptz"
    return [Between(field.name, low, high, cast)] if low or high else []


def _bound(request: Request, name: str, field: FieldSpec) -> str | None:
    if field.kind == "date":
        day = date_from(request, name)
        return day.isoformat() if day else None
    moment = datetime_from(request, name)
    return utc_text(moment) if moment else None


def _none(request: Request, field: FieldSpec) -> list[str]:
    """Moments are asked for by range only: their texts differ in how many digits the source has."""
    return []


_RANGES = ("date", "datetime")
_VALUES: dict[str, Callable[[Request, FieldSpec], list[str]]] = {
    "string": _texts,
    "text": _texts,
    "enum": _choices,
    "date": _day,
    "datetime": _none,
}
