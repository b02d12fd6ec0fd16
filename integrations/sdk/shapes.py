"""Builders of unified objects: one function per field, and one generated function per object that does without most.

A mapping is compiled once a run and then applied to every record, so calls are what costs. `Shape.build` runs a function
generated from the declaration (field names and keys only, quoted; nothing a person typed is ever code). When it meets
anything unusual it stops, and the slow way decides: it names the field that cannot be mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.errors import FieldError, ValidationFailedError
from core.ids import derived_hex, namespace_of
from integrations.entities import ENTITIES
from integrations.entities.spec import FieldSpec, Kind
from integrations.sdk import transforms
from integrations.sdk.coercions import COERCE, Mapper, is_number, json_value, moment_of, number_text, text
from integrations.sdk.paths import compile_path, plain_key
from integrations.sdk.transforms import MappingError

if TYPE_CHECKING:
    from integrations.sdk.mapping import MappingRow

_REFERENCE_CACHE = 50_000
SHORT_KINDS = {
    "string": "text",
    "text": "text",
    "decimal": "number",
    "amount": "number",
    "quantity": "number",
}
CUSTOM_TYPES: dict[str, Kind] = {
    "text": "text",
    "integer": "integer",
    "decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
}
"""What a custom field may say it is, and the kind of field it then is."""
UNMAPPABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValidationFailedError)


def custom_spec(name: str, type: str) -> FieldSpec:
    """A custom field as a field like any other. Errors: ValidationFailedError for a type there is not."""
    if type not in CUSTOM_TYPES:
        known = ", ".join(CUSTOM_TYPES)
        raise ValidationFailedError(
            f"A custom field has one of the types {known}.", errors=(FieldError("/type", "UNKNOWN_TYPE", known),)
        )
    return FieldSpec(name, CUSTOM_TYPES[type], "")


def nothing(_raw: Any) -> None:
    """A field the mapping does not fill."""


def empty_list(_raw: Any) -> list[Any]:
    """A list the mapping does not fill."""
    return []


@dataclass(frozen=True)
class Plan:
    """How one field is made. With `key` and `short` (text, number, plain) the generated code does it without a call."""

    name: str
    mapper: Mapper
    key: str | None = None
    short: str = ""
    reference: ShortReference | None = None


@dataclass(frozen=True)
class ShortReference:
    """A reference whose id and name stand in one object: keys of these, and what makes our id of the remote one."""

    id_key: str
    name_key: str
    shown: Callable[[str], str]


class Shape:
    """Builds one object with its fields in the order of the entity."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.plans = list(plans)
        self._fast = generate(self.plans)

    def build(self, raw: Any) -> dict[str, Any]:
        """Errors: MappingError naming the field, whatever went wrong with it."""
        try:
            return self._fast(raw)
        except (MappingError, *UNMAPPABLE):
            return self.build_slowly(raw)

    def build_slowly(self, raw: Any) -> dict[str, Any]:
        """The same, field by field: what the generated function must equal."""
        built: dict[str, Any] = {}
        name = ""
        try:
            for plan in self.plans:
                name = plan.name
                built[name] = plan.mapper(raw)
        except MappingError as error:
            error.target = f"{name}.{error.target}" if error.target else name
            raise
        except UNMAPPABLE as error:
            raise MappingError(f"{type(error).__name__}: {error}", name) from error
        return built


_TEXT = """    if {v}.__class__ is int: {v} = str({v})
    elif {v}.__class__ is not str: {v} = None if {v} is None else text({v})
"""
_PLAIN = """    if {v}.__class__ is Decimal: {v} = json_value({v})
"""
_NUMBER = """    if {v}.__class__ is int: {v} = str({v})
    elif {v}.__class__ is not str or not is_number({v}): {v} = None if {v} is None else number({v})
"""


_REFERENCE = """    {v} = get({key})
    i = {v}.get({id}) if {v}.__class__ is dict else None
    n = {v}.get({name}) if i else None
    if i.__class__ is str and i and (n is None or n.__class__ is str): {v} = {{"id": s{n}(i), "remote_id": i, "name": n}}
    else: {v} = f{n}(raw)
"""
_SHORT = {"text": _TEXT, "number": _NUMBER, "plain": _PLAIN}


def generate(plans: list[Plan]) -> Callable[[Any], dict[str, Any]]:
    """One function that builds the whole object. Names and keys are quoted by repr; functions are passed, not written."""
    names: dict[str, Any] = {
        "text": text,
        "number": number_text,
        "is_number": is_number,
        "json_value": json_value,
        "Decimal": Decimal,
    }
    lines, shown = [], []
    for position, plan in enumerate(plans):
        variable, expression = f"v{position}", f"v{position}"
        if plan.mapper is nothing:
            expression = "None"
        elif plan.mapper is empty_list:
            expression = "[]"
        elif plan.key is not None and plan.reference is not None:
            names |= {f"f{position}": plan.mapper, f"s{position}": plan.reference.shown}
            keys = {"key": plan.key, "id": plan.reference.id_key, "name": plan.reference.name_key}
            lines.append(_REFERENCE.format(v=variable, n=position, **{k: repr(text_) for k, text_ in keys.items()}))
        elif plan.key is not None and plan.short:
            lines.append(f"    {variable} = get({plan.key!r})\n")
            lines.append(_SHORT[plan.short].format(v=variable))
            expression = f"{variable} or None" if plan.short == "text" else variable
        else:
            names[f"f{position}"] = plan.mapper
            expression = f"f{position}(raw)"
        shown.append(f"        {plan.name!r}: {expression},\n")
    source = "def build(raw):\n    get = raw.get\n" + "".join(lines) + "    return {\n" + "".join(shown) + "    }\n"
    exec(compile(source, "<mapping>", "exec"), names)  # noqa: S102  see the module's first lines
    return names["build"]  # type: ignore[no-any-return]


class Maker:
    """Builds one function per field. `zone` (IANA) is that of times written without one."""

    def __init__(self, connection_id: UUID, zone: str = "UTC") -> None:
        self.connection_id = connection_id
        self.zone = zone

    def shape(self, fields: Iterable[FieldSpec], rows: Mapping[str, MappingRow], *, sparse: bool) -> Shape:
        """An object's builder. Objects inside of lists are sparse: what the mapping does not fill is left out."""
        plans = [
            self._plan(f, rows[f.name]) if f.name in rows else Plan(f.name, empty_list if f.kind == "list" else nothing)
            for f in fields
            if f.name in rows or not sparse
        ]
        return Shape(plans)

    def _plan(self, spec: FieldSpec, row: MappingRow) -> Plan:
        if spec.kind == "reference":
            shown = self._shown(spec)
            short = _short_reference(row, shown)
            return Plan(spec.name, self.reference(row, shown), short[0] if short else None, "", short and short[1])
        return Plan(spec.name, self.field(spec, row), *self._short_way(spec, row))

    def _short_way(self, spec: FieldSpec, row: MappingRow) -> tuple[str | None, str]:
        """Key and kind of a field that is read from one key and needs no transform."""
        key = self._key(row)
        return (key, SHORT_KINDS.get(spec.kind, "")) if key else (None, "")

    def field(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        if spec.kind == "list":
            return self.list_of(spec, row)
        if spec.kind == "object":
            return _then(self.value(row), self._object(spec, row))
        if spec.kind == "datetime":
            return self.moment(row)
        return _then(self.value(row), COERCE[spec.kind](spec))

    def custom(self, rows: Mapping[str, MappingRow]) -> Shape:
        """The builder of `custom`: values by the names given, as they are or of the type their row names."""
        return Shape(self._custom(name, row) for name, row in rows.items())

    def _custom(self, name: str, row: MappingRow) -> Plan:
        if row.type:
            return Plan(name, self.field(custom_spec(name, row.type), row))
        return Plan(
            name, _then(self.value(row), json_value), *(self._key(row), "plain") if self._key(row) else (None, "")
        )

    def _key(self, row: MappingRow) -> str | None:
        """The key of a row that is read from one key and needs no transform."""
        return plain_key(row.source) if row.source and not row.transforms else None

    def moment(self, row: MappingRow | None) -> Mapper:
        if row is None:
            return lambda _raw: None
        return _then(self.value(row), moment_of(self.zone))

    def value(self, row: MappingRow) -> Mapper:
        """Source path, then the transforms in order."""
        get = compile_path(row.source) if row.source else (lambda _raw: None)
        for declared in row.transforms:
            name, transform = transforms.make(declared, zone=self.zone)
            get = _always(get, transform) if name in transforms.ACCEPT_NONE else _then(get, transform)
        return get

    def _shown(self, spec: FieldSpec) -> Callable[[str], str]:
        """Our shown id of a remote one, remembered: few vendors and items stand in many documents."""
        target = ENTITIES[spec.target or ""].spec()
        namespace, prefix = namespace_of(self.connection_id, target.name), target.id_prefix + "_"

        @lru_cache(maxsize=_REFERENCE_CACHE)
        def shown(remote_id: str) -> str:
            return prefix + derived_hex(namespace, remote_id)

        return shown

    def reference(self, row: MappingRow, shown: Callable[[str], str]) -> Mapper:
        get_both = _id_and_name(self.value(row), row)

        def reference(raw: Any) -> dict[str, Any] | None:
            found, name = get_both(raw)
            if name is not None and type(name) is not str:
                name = str(name)
            if found is None or found == "":
                return {"id": None, "remote_id": None, "name": name} if name else None
            remote_id = found if type(found) is str else str(found)
            return {"id": shown(remote_id), "remote_id": remote_id, "name": name}

        return reference

    def list_of(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        get, build = self.value(row), self._object(spec, row)

        def items(raw: Any) -> list[dict[str, Any]]:
            found = get(raw)
            if found is None:
                return []
            if not isinstance(found, list):
                raise MappingError(f"expected a list at `{row.source}`, got {type(found).__name__}")
            return [build(item) for item in found]

        return items

    def _object(self, spec: FieldSpec, row: MappingRow) -> Mapper:
        rows = {item.target: item for item in row.items}
        unknown = set(rows) - {f.name for f in spec.item}
        if unknown:
            raise ValidationFailedError(
                f"{spec.name} has no field {', '.join(sorted(unknown))}.",
                errors=(FieldError("/rows", "UNKNOWN_TARGET", spec.name),),
            )
        return self.shape(spec.item, rows, sparse=True).build


def _id_and_name(get_id: Mapper, row: MappingRow) -> Callable[[Any], tuple[Any, Any]]:
    """Remote id and name of a reference; where both stand in one object, that is looked up once."""
    if not row.name_source:
        return lambda raw: (get_id(raw), None)
    keys = _same_object(row)
    if keys is not None:
        parent, id_key, name_key = keys

        def both(raw: Any) -> tuple[Any, Any]:
            found = raw.get(parent)
            return (found.get(id_key), found.get(name_key)) if isinstance(found, dict) else (None, None)

        return both
    get_name = compile_path(row.name_source)
    return lambda raw: (get_id(raw), get_name(raw))


def _same_object(row: MappingRow) -> tuple[str, str, str] | None:
    """Parent, id key and name key of a reference whose two parts stand in one object and need no transform."""
    parent, _, id_key = row.source.partition(".")
    same, _, name_key = (row.name_source or "").partition(".")
    if row.transforms or parent != same or not all(map(plain_key, (parent, id_key, name_key))):
        return None
    return parent, id_key, name_key


def _short_reference(row: MappingRow, shown: Callable[[str], str]) -> tuple[str, ShortReference] | None:
    keys = _same_object(row)
    return (keys[0], ShortReference(keys[1], keys[2], shown)) if keys else None


def _then(get: Mapper, convert: Mapper) -> Mapper:
    def then(raw: Any) -> Any:
        value = get(raw)
        return None if value is None else convert(value)

    return then


def _always(get: Mapper, convert: Mapper) -> Mapper:
    return lambda raw: convert(get(raw))
