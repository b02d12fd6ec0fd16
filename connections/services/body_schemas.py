"""The body of a write as JSON Schema (2020-12), for one connection: what must be there, what may, what it may say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connections.services.cards import OF_FIELDS, Card, Denial
from core.errors import NotSupportedError
from integrations.entities.spec import UNKNOWN, FieldSpec
from integrations.sdk.declarations import Parameter
from integrations.sdk.mapping import CUSTOM, MappingRow
from integrations.sdk.shapes import custom_spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_LINES = 500
MAX_ID_CHARACTERS = 512
DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
JsonSchema = dict[str, Any]


def write_schema(card: Card, operation: str, *, status: str | None = None, action: str = "") -> JsonSchema:
    """The JSON Schema of the body of a create, update (merge patch: null clears), delete or action.

    What cannot be sent is `readOnly` with `x-reason-code` (as `Denial.reason`) and `x-reason`. `x-writable-in` of an
    update: the source's statuses in which a field may be sent; null: any, but those of `x-not-writable-in` where that
    stands. With `status` the answer is for an object in it. `x-allowed` false, with the reason: the whole may not be done.
    Errors: NotSupportedError for an action the system has not.
    """
    if operation == "action":
        return _of_action(card, action, status)
    denial = card.operation(operation, status)
    schema: JsonSchema = {
        "$schema": DIALECT,
        "title": f"{operation.capitalize()} {card.noun}",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "required": [],
        **_allowance(denial),
    }
    if operation in OF_FIELDS:
        maker = _Maker(card, operation, status)
        schema["properties"] = maker.properties(card.spec.fields, card.rows)
        custom = maker.custom()
        if custom is not None:
            schema["properties"]["custom"] = custom
        if operation == "create":
            schema["required"] = [name for name in card.required() if "." not in name]
    return _with_definitions(schema)


def _of_action(card: Card, name: str, status: str | None) -> JsonSchema:
    action = card.resource.action(name)
    denial = card.action(name, status)
    if action is None:
        raise NotSupportedError(denial.detail if denial else f"There is no action {name}.")
    schema = {
        "$schema": DIALECT,
        "title": f"{action.title}: {card.noun}",
        **({"description": action.help} if action.help else {}),
        "type": "object",
        "additionalProperties": False,
        "properties": {parameter.name: _parameter(parameter) for parameter in action.parameters},
        "required": [parameter.name for parameter in action.parameters if parameter.required],
        **_allowance(denial),
    }
    return _with_definitions(schema)


def _with_definitions(schema: JsonSchema) -> JsonSchema:
    return {**schema, "$defs": _DEFINITIONS} if schema["properties"] else schema


def _parameter(parameter: Parameter) -> JsonSchema:
    spec = FieldSpec(
        parameter.name,
        parameter.kind,
        parameter.help,
        values=parameter.values,
        target=parameter.target,
        max_length={"string": 512, "text": 65_536}.get(parameter.kind),
    )
    return {**_described(spec), **_value(spec, spec.values, may_be_null=not parameter.required)}


def _allowance(denial: Denial | None) -> JsonSchema:
    return {"x-allowed": denial is None, **_reason(denial)}


def _reason(denial: Denial | None) -> JsonSchema:
    return {} if denial is None else {"x-reason-code": denial.reason, "x-reason": denial.detail}


class _Maker:
    """Makes the properties of one operation."""

    def __init__(self, card: Card, operation: str, status: str | None) -> None:
        self.card, self.operation, self.status = card, operation, status
        self.required = set(card.required())
        self.changes = operation == "update"

    def properties(self, specs: Iterable[FieldSpec], rows: Iterable[MappingRow], prefix: str = "") -> JsonSchema:
        by_target = {row.target: row for row in rows}
        return {spec.name: self._property(spec, by_target.get(spec.name), prefix + spec.name) for spec in specs}

    def _property(self, spec: FieldSpec, row: MappingRow | None, path: str) -> JsonSchema:
        denial = self.card.field(self.operation, path, self.status)
        inside = row.items if row else ()
        if spec.kind == "list":
            shape = self._list(spec, inside, path)
        elif spec.kind == "object":
            shape = _object(self.properties(spec.item, inside, f"{path}."), self._nullable(path))
        else:
            shape = _value(spec, _sayable(spec, row), may_be_null=self._nullable(path))
        return {**_described(spec), **shape, **self._limits(path, denial)}

    def custom(self) -> JsonSchema | None:
        """The fields this connection maps beside the unified ones; None when there are none."""
        rows = [row for row in self.card.rows if row.target.startswith(CUSTOM)]
        if not rows:
            return None
        properties = {row.target.removeprefix(CUSTOM): self._custom(row) for row in rows}
        return {
            "description": "What this connection maps beside the unified fields.",
            **_object(properties, may_be_null=False),
        }

    def _custom(self, row: MappingRow) -> JsonSchema:
        """Of the type its row names, if it names one; null takes the value away."""
        shape = _value(custom_spec(row.target, row.type), (), may_be_null=True) if row.type else {}
        title = {"title": row.title} if row.title else {}
        return {**title, **shape, **self._limits(row.target, self.card.field(self.operation, row.target, self.status))}

    def _list(self, spec: FieldSpec, rows: Iterable[MappingRow], path: str) -> JsonSchema:
        items = _object(self.properties(spec.item, rows, f"{path}."), may_be_null=False)
        demanded = [name.removeprefix(f"{path}.") for name in sorted(self.required) if name.startswith(f"{path}.")]
        unsent = [name for name in demanded if items["properties"].get(name, {}).get("readOnly")]
        if self.changes:
            self._name_lines(items, demanded, can_add=not unsent)
        else:
            items["required"] = [name for name in demanded if name not in unsent]
        return {"type": "array", "maxItems": MOST_LINES, "items": items}

    @staticmethod
    def _name_lines(items: JsonSchema, demanded: list[str], *, can_add: bool) -> None:
        """In an update each line is named by its id, removed by `_delete`, or new and then complete."""
        new = (
            "without it a new one is added" if can_add else "new ones cannot be added, for want of what each must have"
        )
        about = f"Id of the one that is meant; {new}."
        items["properties"] |= {
            "id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS, "description": about},
            "_delete": {"type": "boolean", "description": "True removes the one with this id; nothing else is sent."},
        }
        items["dependentRequired"] = {"_delete": ["id"]}
        removal = {"required": ["_delete"], "properties": {"_delete": {"const": True}}}
        items["allOf"] = [{"if": removal, "then": {"maxProperties": 2}}]
        if not can_add:
            items["required"] = ["id"]
        elif demanded:
            named = [{"required": ["id"]}, {"required": ["_delete"]}]
            items["allOf"].append({"if": {"not": {"anyOf": named}}, "then": {"required": demanded}})

    def _nullable(self, path: str) -> bool:
        """Null clears, or says that there is none. What the entity demands is never without a value."""
        return path not in self.required

    def _limits(self, path: str, denial: Denial | None) -> JsonSchema:
        if denial is not None:
            return {"readOnly": True, **_reason(denial)}
        if self.status is not None or not self.changes:
            return {}
        allowed, refused = self.card.statuses(self.operation, path)
        return {"x-writable-in": allowed, **({"x-not-writable-in": refused} if refused else {})}


def _sayable(spec: FieldSpec, row: MappingRow | None) -> tuple[str, ...]:
    """The values that have a counterpart there: those of the mapping's value map, else all the unified ones."""
    for step in reversed(row.transforms if row else ()):
        if step["name"] == "values":
            said = dict.fromkeys(value for value in step["map"].values() if isinstance(value, str) and value != UNKNOWN)
            return tuple(value for value in said if not spec.values or value in spec.values)
    return tuple(value for value in spec.values if value != UNKNOWN)


def _described(spec: FieldSpec) -> JsonSchema:
    described: JsonSchema = {"description": spec.description} if spec.description else {}
    if spec.unit:
        described["x-unit"] = spec.unit
    if spec.target:
        described["x-target"] = spec.target
    return described


def _value(spec: FieldSpec, values: tuple[str, ...], *, may_be_null: bool) -> JsonSchema:
    """The shape of a single value."""
    if spec.kind == "reference":
        return _reference(may_be_null)
    if values:
        return {"enum": [*values, *([None] if may_be_null else [])]}
    shape = dict(_SHAPES.get(spec.kind, _TEXT))
    if may_be_null:
        shape["type"] = [*([shape["type"]] if isinstance(shape["type"], str) else shape["type"]), "null"]
    if spec.kind in ("string", "text", "enum") and spec.max_length:
        shape["maxLength"] = spec.max_length
    return shape


_TEXT: Mapping[str, Any] = {"type": "string"}
_NUMBER: Mapping[str, Any] = {"type": ["string", "number"], "pattern": DECIMAL_PATTERN, "maxLength": 64}
_SHAPES: dict[str, Mapping[str, Any]] = {
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "decimal": _NUMBER,
    "amount": _NUMBER,
    "quantity": _NUMBER,
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def _object(properties: JsonSchema, may_be_null: bool) -> JsonSchema:
    kind: Any = ["object", "null"] if may_be_null else "object"
    return {"type": kind, "additionalProperties": False, "properties": properties}


def _reference(may_be_null: bool) -> JsonSchema:
    return {"anyOf": [{"$ref": "#/$defs/reference"}, *([{"type": "null"}] if may_be_null else [])]}


_ID = {"minLength": 1, "maxLength": MAX_ID_CHARACTERS}
_DEFINITIONS: JsonSchema = {
    "reference": {
        "description": "Our id or the source's id of the object, bare or in an object; a name beside it has no effect.",
        "anyOf": [
            {"type": "string", **_ID},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "id": {"type": ["string", "null"], **_ID},
                    "remote_id": {"type": ["string", "null"], **_ID},
                    "name": {"type": ["string", "null"]},
                },
                "anyOf": [
                    {"required": ["id"], "properties": {"id": {"type": "string"}}},
                    {"required": ["remote_id"], "properties": {"remote_id": {"type": "string"}}},
                ],
            },
        ],
    }
}
