"""The ready flows: they are well, and their expressions say what their words promise."""

from __future__ import annotations

from typing import Any

import pytest

from flows.definitions.checking import read_definition
from flows.definitions.ready import READY
from flows.definitions.walking import find_step, scopes_needed
from flows.expressions import matches, render
from integrations.registry import get_connector

LOW = READY["low-stock-purchase-order"]
USAGE = READY["work-order-usage"]
ITEM = {"id": "itm_1", "unit_raw": "u", "vendor": {"id": "ven_1"}}


def test_there_are_two_with_words_for_people() -> None:
    assert set(READY) == {"low-stock-purchase-order", "work-order-usage"}
    for ready in READY.values():
        assert ready.title and ready.summary.endswith(".")


@pytest.mark.parametrize("ready", READY.values(), ids=READY)
def test_each_is_well_and_gives_new_copies(ready: Any) -> None:
    read_definition(ready.definition)
    ready.definition["steps"].clear()

    assert ready.definition["steps"]


def test_scopes_they_need() -> None:
    assert scopes_needed(read_definition(LOW.definition)) == {
        "records.inventory_item:read": "items",
        "records.purchase_order:read": "open_orders",
        "records.purchase_order:write": "order",
    }
    assert scopes_needed(read_definition(USAGE.definition)) == {
        "records.inventory_item:read": "part",
        "records.inventory_item:write": "book",
    }


@pytest.mark.parametrize("ready", READY.values(), ids=READY)
def test_their_example_starts_a_run(ready: Any) -> None:
    definition: Any = read_definition(ready.definition)

    assert matches(definition.trigger.filter, [{"trigger": definition.example}]) == [True]


@pytest.mark.parametrize(
    ("record", "is_low"),
    [
        ({"quantity_on_hand": "4"}, True),
        ({"quantity_on_hand": "4.0", "quantity_on_order": None}, True),
        ({"quantity_on_hand": "0"}, True),
        ({"quantity_on_hand": "-2"}, True),
        ({"quantity_on_hand": "10"}, False),
        ({"quantity_on_hand": "3", "quantity_on_order": "8"}, False),
        ({"quantity_on_hand": None}, False),
        ({"quantity_on_hand": "3", "minimum_quantity": None}, False),
        ({"quantity_on_hand": "5", "reorder_point": "6"}, True),
        (None, False),
    ],
)
def test_which_parts_are_low(record: dict[str, Any] | None, is_low: bool) -> None:
    shown = None if record is None else {"minimum_quantity": "4", "reorder_point": None, **record}

    assert matches(LOW.definition["trigger"]["filter"], [{"trigger": {"record": shown}}]) == [is_low]


@pytest.mark.parametrize(
    ("record", "quantity"),
    [
        ({"maximum_quantity": "12"}, "9"),
        ({"maximum_quantity": "12.5", "quantity_on_order": "1"}, "8.5"),
        ({"maximum_quantity": None}, "4"),
        ({"maximum_quantity": "12", "reorder_quantity": "25"}, "25"),
        ({"maximum_quantity": "3"}, "1"),
    ],
)
def test_how_much_is_ordered(record: dict[str, Any], quantity: str) -> None:
    known = {"name": "Bearing", "barcode": "BRG-02", "quantity_on_hand": "3", "minimum_quantity": "4", **record}
    outputs = {"items": {"records": [ITEM], "count": 1}}
    context = {"trigger": {"record": known}, "steps": outputs}
    for name in ("part", "missing"):
        context["steps"] = {**context["steps"], name: render(step_of(LOW, name)["value"], context)}

    body = render(step_of(LOW, "order")["body"], context)
    assert body["lines"] == [{"item": {"id": "itm_1"}, "quantity": quantity, "unit_raw": "u"}]
    assert body["vendor"] == {"id": "ven_1"}
    assert body["description"].startswith("Low stock of Bearing: ")


@pytest.mark.parametrize(
    ("orders", "is_ordered"),
    [
        ([], False),
        ([{"lines": [{"item": {"id": "itm_2"}}, {"item": None}]}, {"lines": []}], False),
        ([{"lines": [{"item": {"id": "itm_2"}}, {"item": {"id": "itm_1"}}]}], True),
    ],
)
def test_what_is_on_order_is_not_ordered_again(orders: list[Any], is_ordered: bool) -> None:
    context = {"steps": {"items": {"records": [ITEM]}, "open_orders": {"records": orders}}}

    assert matches(step_of(LOW, "is_ordered")["when"], [context]) == [is_ordered]


def test_runs_that_can_order_nothing_say_why() -> None:
    part = {"name": "Bearing", "number": None}
    context = {"steps": {"part": part, "items": {"records": [{"vendor": None}], "count": 1}}}

    for name in ("no_number", "no_vendor"):
        assert matches(step_of(LOW, name)["when"], [context]) == [True]
    assert "Bearing has neither" in render(step_of(LOW, "no_number")["message"], context)


@pytest.mark.parametrize(
    ("status", "lines", "starts"),
    [
        ("completed", [{"used_quantity": "2"}], True),
        ("completed", [{"used_quantity": None}], False),
        ("completed", [], False),
        ("in_progress", [{"used_quantity": "2"}], False),
    ],
)
def test_which_work_orders_are_booked(status: str, lines: list[Any], starts: bool) -> None:
    record = {"status": status, "lines": lines}

    assert matches(USAGE.definition["trigger"]["filter"], [{"trigger": {"record": record}}]) == [starts]


def test_usage_is_booked_of_the_one_item_with_that_number() -> None:
    definition = read_definition(USAGE.definition)
    book: Any = find_step(definition, "book")

    def seen(count: int) -> dict[str, Any]:
        records = [{"id": f"itm_{number}"} for number in range(count)]
        return {"steps": {"items": {"count": count, "records": records}}, "item": {"used_quantity": "2"}}

    assert render(book.step.body, seen(1)) == {"quantity": "2"}
    assert [render(book.step.id, seen(count)) for count in (0, 1, 2)] == [None, "itm_0", None]


def test_what_they_read_and_write_is_offered() -> None:
    """By MaintainX as the CMMS and Tryton as the ERP; what Tryton writes stands in its own tests."""
    cmms, erp = get_connector("maintainx"), get_connector("tryton")

    item = {field.target for field in cmms.resource("inventory_item").fields}
    assert {"barcode", "quantity_on_hand", "quantity_on_order", "minimum_quantity", "maximum_quantity"} <= item
    assert {"lines", "status"} <= {field.target for field in cmms.resource("work_order").fields}
    assert erp.resource("purchase_order").write("create", None) is not None
    assert erp.resource("inventory_item").action("book_usage") is not None


def step_of(ready: Any, name: str) -> dict[str, Any]:
    return next(step for step in ready.definition["steps"] if step["name"] == name)
