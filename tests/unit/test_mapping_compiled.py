"""The generated builder and the slow one agree on whatever an upstream system may send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.entities import PurchaseOrder
from integrations.sdk.mapping import Compiled, compile_mapping
from integrations.sdk.transforms import MappingError
from tests.connectors import TestErp

CONNECTION = UUID("01a20b00-0000-7000-8000-000000000001")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["12.50", "-3", "1e3", " 7 ", "2026-10-05", "2026-W01-1", "2026-03-01T08:00:00Z", "open", "pcs", ""]
    ),
)
lines = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "position", "text", "quantity", "unit", "price"), scalars)
)
values = st.one_of(
    scalars, st.lists(st.one_of(lines, scalars), max_size=3), st.dictionaries(st.text(max_size=3), scalars)
)
KEYS = [
    "number",
    "text",
    "status",
    "vendor_id",
    "vendor_name",
    "currency",
    "total",
    "ordered_on",
    "notes",
    "lines",
    "created_at",
    "updated_at",
]
objects = st.one_of(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values)), scalars)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_mapping(PurchaseOrder.spec(), TestErp.purchase_orders.fields, connection_id=CONNECTION)


def outcome(build: Any, raw: Any) -> Any:
    try:
        return build(raw)
    except MappingError as error:
        return str(error)


@settings(max_examples=600, deadline=None)
@given(raw=objects)
def test_generated_builder_when_given_anything_then_it_equals_the_slow_one(compiled: Compiled, raw: Any) -> None:
    fast, slow = outcome(compiled.shape.build, raw), outcome(compiled.shape.build_slowly, raw)
    assert repr(fast) == repr(slow)  # by text: nan is not equal to itself


def test_lines_when_the_mapping_does_not_fill_a_field_then_it_is_left_out_but_the_entity_has_all(
    compiled: Compiled,
) -> None:
    unified = compiled.map({"number": "PO-1", "lines": [{"id": "1", "quantity": 2}]})
    assert list(unified) == [field.name for field in PurchaseOrder.spec().fields] + ["custom"]
    assert set(unified["lines"][0]) == {
        "id", "line_number", "description", "quantity", "unit", "unit_raw", "unit_price"
    }  # fmt: skip
    assert unified["lines"][0]["description"] is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2026-10-05", "2026-10-05"), ("2026-10-05T22:00:00Z", "2026-10-05"), ("2026-W01-1", "2025-12-29")],
)
def test_date_when_written_otherwise_then_it_is_shown_as_a_day(compiled: Compiled, value: str, shown: str) -> None:
    assert compiled.map({"ordered_on": value})["order_date"] == shown


def test_field_when_it_cannot_be_mapped_then_the_error_names_it_and_its_list(compiled: Compiled) -> None:
    with pytest.raises(MappingError, match=r"lines\.quantity: 'many' is not a number"):
        compiled.map({"lines": [{"id": "1", "quantity": "many"}]})
