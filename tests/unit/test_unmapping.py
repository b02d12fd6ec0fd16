"""Mappings backwards: what is written reads the same again, and what cannot be said is named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ValidationFailedError
from core.http import Door, connection_policy
from integrations.connectors.maintainx import MaintainX
from integrations.entities import InventoryItem, PurchaseOrder, WorkOrder
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.connector import Connector, ConnectorSettings
from integrations.sdk.declarations import Field
from integrations.sdk.mapping import MappingRow, compile_mapping
from integrations.sdk.unmapping import Unmapping, compile_unmapping
from integrations.sdk.writes import WriteCall
from tests.connectors import TestErp

CONNECTION_ID = UUID("0192f000-0000-7000-8000-000000000001")
CONNECTORS: list[type[Connector]] = [TestErp, MaintainX]
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def connector_of(kind: type[Connector]) -> Connector:
    door = Door(connection_policy())
    door.close()
    return kind(ConnectorSettings({"base_url": "http://127.0.0.1:9"}, {"api_key": "k"}), door)


def round_trip(spec: EntitySpec, rows: tuple[MappingRow, ...], values: dict[str, Any], **options: Any) -> Any:
    """Unmapped, sent as JSON, and mapped again."""
    unmapping = compile_unmapping(spec, rows, **options)
    content = WriteCall("POST", "http://x", unmapping.body(values)).content()
    zone = options.get("zone", "UTC")
    return compile_mapping(spec, rows, connection_id=CONNECTION_ID, zone=zone).map(_decode(content or b"{}"))


def numbers(digits: int) -> st.SearchStrategy[str]:
    return st.decimals(-(10**9), 10**9, allow_nan=False, places=digits).map(lambda value: format(value, "f"))


def moments() -> st.SearchStrategy[str]:
    found = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
    return found.map(lambda value: value.replace(microsecond=0).isoformat().replace("+00:00", "Z"))


def values_of(spec: FieldSpec, row: MappingRow) -> st.SearchStrategy[Any]:
    """Good values of one field, as the API takes them."""
    maps = [step["map"] for step in row.transforms if step["name"] == "values"]
    if maps:
        return st.sampled_from(sorted({unified for unified in maps[0].values() if unified != "unknown"}))
    digits = next((step.get("digits", 2) for step in row.transforms if step["name"] == "minor_units"), 4)
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "decimal": numbers(4),
        "amount": numbers(digits),
        "quantity": numbers(4),
        "integer": st.integers(0, 10**6),
        "boolean": st.booleans(),
        "date": st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(date.isoformat),
        "datetime": moments(),
        "reference": st.integers(1, 10**9).map(str),
    }
    return strategies.get(spec.kind, st.text(min_size=1, max_size=40))


def plain_fields(kind: type[Connector], entity: str) -> list[tuple[FieldSpec, MappingRow]]:
    """Fields that are written where they are read, one value each."""
    resource = kind.resource(entity)
    unmapping = compile_unmapping(resource.spec, resource.fields)
    rows = {row.target: row for row in resource.fields}
    return [
        (resource.spec.by_name[name], rows[name])
        for name, field in unmapping.fields.items()
        if field.items is None and rows[name].write is None and not name.startswith("custom.")
    ]


CASES = [
    pytest.param(kind, entity, spec, row, id=f"{kind.slug} {entity} {spec.name}")
    for kind in CONNECTORS
    for entity in kind.resources()
    for spec, row in plain_fields(kind, entity)
]


def same(spec: FieldSpec, wished: Any, found: Any) -> bool:
    if spec.kind in ("decimal", "amount", "quantity"):
        return Decimal(wished) == Decimal(found)
    return bool((found["remote_id"] if spec.kind == "reference" else found) == wished)


@pytest.mark.parametrize(("kind", "entity", "spec", "row"), CASES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_value_when_written_and_read_again_then_it_is_the_same(
    kind: type[Connector], entity: str, spec: FieldSpec, row: MappingRow, data: st.DataObject
) -> None:
    wished = data.draw(values_of(spec, row))
    resource = kind.resource(entity)

    unified = round_trip(resource.spec, resource.fields, {spec.name: wished}, encode=connector_of(kind).encode)

    assert same(spec, wished, unified[spec.name])


@given(quantity=numbers(6), price=numbers(6))
def test_lines_when_written_then_every_digit_travels(quantity: str, price: str) -> None:
    resource = TestErp.resource("purchase_order")
    line = {"description": "Seal", "quantity": quantity, "unit_price": price, "unit": "EA"}

    (found,) = round_trip(resource.spec, resource.fields, {"lines": [line]})["lines"]

    assert Decimal(found["quantity"]) == Decimal(quantity) and Decimal(found["unit_price"]) == Decimal(price)
    assert found["unit"] == "EA"


@given(moment=moments(), zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]))
def test_moment_when_the_system_keeps_local_times_then_it_comes_back(moment: str, zone: str) -> None:
    """But for the hour that clocks repeat in autumn, which no local time can tell."""
    rows = (Field("planned_start", "begin", zone=zone),)
    body = compile_unmapping(WorkOrder.spec(), rows).body({"planned_start": moment})
    local = datetime.fromisoformat(body["begin"])
    assert local.tzinfo is None

    found = round_trip(WorkOrder.spec(), rows, {"planned_start": moment})["planned_start"]

    there = datetime.fromisoformat(found)
    assert abs((there - datetime.fromisoformat(moment)).total_seconds()) in (0.0, 3600.0)


@pytest.mark.parametrize(
    ("transform", "wished", "raw"),
    [
        ({"name": "minor_units", "digits": 2}, "12.5", 1250),
        ({"name": "minor_units", "digits": 3}, "1.005", 1005),
        ({"name": "multiply", "by": "0.01"}, "1.25", Decimal("125")),
        ({"name": "strip_thousands", "separator": ","}, "1250.5", Decimal("1250.5")),
        ({"name": "default", "value": "0"}, "7", Decimal("7")),
    ],
)
def test_transform_when_turned_around_then_the_system_gets_its_own_form(
    transform: dict[str, Any], wished: str, raw: Any
) -> None:
    rows = (Field("unit_cost", "cost", transforms=(transform,)),)

    assert compile_unmapping(InventoryItem.spec(), rows).body({"unit_cost": wished}) == {"cost": raw}


@pytest.mark.parametrize(
    ("transform", "source"),
    [({"name": "join"}, "cost"), ({"name": "split", "index": 1}, "cost"), (None, "lines[0].cost"), (None, "a || b")],
)
def test_field_when_it_is_computed_then_it_cannot_be_written_and_says_why(
    transform: dict[str, Any] | None, source: str
) -> None:
    rows = (Field("name", source, transforms=(transform,) if transform else ()),)
    unmapping = compile_unmapping(InventoryItem.spec(), rows)

    assert "name" not in unmapping.fields
    assert unmapping.why_not["name"][0] == "platform" and "name" in unmapping.why_not["name"][1]
    assert unmapping.why_not["quantity_available"][0] == "source"
    assert "not mapped" in unmapping.why_not["barcode"][1]


def test_values_when_several_are_wrong_then_each_is_named() -> None:
    rows = (
        Field("unit_cost", "cost", minor_units=2),
        Field("status", "state", values={"A": "active", "I": "inactive"}),
        Field("number", "no", read_only=True),
        Field("name", "name"),
    )
    values = {"unit_cost": "1.005", "status": "unknown", "number": "1", "name": "Seal", "nonsense": 1}
    with pytest.raises(ValidationFailedError) as caught:
        compile_unmapping(InventoryItem.spec(), rows).body(values)

    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/unit_cost", "VALUE_NOT_ACCEPTED"),
        ("/status", "VALUE_NOT_ACCEPTED"),
        ("/number", "FIELD_NOT_WRITABLE"),
        ("/nonsense", "FIELD_NOT_WRITABLE"),
    ]
    assert "active, inactive" in caught.value.errors[1].detail


def test_lines_when_changed_added_and_removed_then_ids_and_marks_go_along() -> None:
    rows = (
        Field(
            "lines", "rows", items=(Field("id", "id"), Field("quantity", "q.n"), Field("item", "part.id", write="part"))
        ),
    )
    unmapping: Unmapping = compile_unmapping(PurchaseOrder.spec(), rows)
    lines = [{"id": "1", "quantity": "2"}, {"item": "9", "quantity": None}, {"id": "3", "_delete": True}]

    assert unmapping.body({"lines": lines}) == {
        "rows": [{"q": {"n": Decimal(2)}, "id": "1"}, {"part": "9", "q": {"n": None}}, {"id": "3", "_delete": True}]
    }
    for line, pointer in (({"id": "1", "amount": "3"}, "/lines/1/amount"), ({"quantity": "x"}, "/lines/1/quantity")):
        with pytest.raises(ValidationFailedError) as caught:
            unmapping.body({"lines": [{"id": "1"}, line]})
        assert [error.pointer for error in caught.value.errors] == [pointer]


def test_custom_fields_when_they_have_a_plain_place_then_they_are_written() -> None:
    rows = (
        Field("custom.colour", "extra.colour"),
        Field("custom.shade", "extra.shade", read_only=True),
        Field("custom.both", "a || b"),
    )
    unmapping = compile_unmapping(InventoryItem.spec(), rows)

    assert unmapping.body({"custom": {"colour": "red"}}) == {"extra": {"colour": "red"}}
    with pytest.raises(ValidationFailedError) as caught:
        unmapping.body({"custom": {"shade": "dark", "both": "x"}})
    assert [error.pointer for error in caught.value.errors] == ["/custom/shade", "/custom/both"]


def test_body_when_numbers_are_long_then_json_holds_them_exactly() -> None:
    rows = (Field("unit_cost", "cost"),)
    body = compile_unmapping(InventoryItem.spec(), rows).body({"unit_cost": "12345678901234567890.123456789"})

    assert WriteCall("POST", "http://x", body).content() == b'{"cost":12345678901234567890.123456789}'
    assert orjson.loads(WriteCall("POST", "http://x", None).content() or b"null") is None
