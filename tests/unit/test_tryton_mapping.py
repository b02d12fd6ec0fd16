"""What becomes of the objects a Tryton sends: unified fields and stable bytes. No server."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from core.errors import ValidationFailedError
from core.http import Door, connection_policy
from integrations.connectors.tryton import Tryton
from integrations.connectors.tryton.purchase_orders import add_receipts
from integrations.connectors.tryton.rows import object_bytes, unreadable
from integrations.connectors.tryton.work_orders import add_completed
from integrations.protocols.typed_json import moment_of
from integrations.sdk.connector import ConnectorSettings
from integrations.sdk.mapping import compile_mapping
from tests.unit.tryton_payloads import LOCATION, PARTY, PRODUCT, PRODUCTION, PURCHASE, at

CONNECTION_ID = UUID("0192f000-0000-7000-8000-000000000001")


@pytest.fixture
def connector() -> Tryton:
    config = {"base_url": "http://127.0.0.1:9", "database": "tryton", "user": "u"}
    return Tryton(ConnectorSettings(config, {"password": "p"}), Door(connection_policy()))


def mapped(connector: Tryton, entity: str, row: dict[str, Any]) -> dict[str, Any]:
    resource = connector.resource(entity)
    compiled = compile_mapping(resource.spec, resource.fields, connection_id=CONNECTION_ID)
    decoded = connector.decode(object_bytes(row, []))
    unified = compiled.map(decoded)
    resource.entity.model_validate({name: value for name, value in unified.items() if name != "custom"})
    return {**unified, "remote_updated_at": compiled.updated(decoded)}


def some(unified: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: unified[name] for name in names}


# --- entities -----------------------------------------------------------------------------------------------------


def test_purchase_when_mapped_then_lines_receipts_and_amounts_are_there(connector: Tryton) -> None:
    row = deepcopy(PURCHASE)
    add_receipts(row)
    order = mapped(connector, "purchase_order", row)

    assert some(order, "number", "status", "remote_status", "total_amount", "currency", "order_date") == {
        "number": "89",
        "status": "partially_received",
        "remote_status": "processing",
        "total_amount": "364.48",
        "currency": "USD",
        "order_date": "2026-09-11",
    }
    assert order["vendor"]["remote_id"] == "13" and order["delivery_location"]["name"] == "Northmoor plant"
    assert order["expected_date"] == "2026-09-20"  # of the lines: the purchase itself has none
    assert order["remote_updated_at"] == "2026-11-05T03:30:00Z"  # the line changed after the purchase
    assert [some(line, "id", "quantity", "received_quantity", "unit", "unit_price") for line in order["lines"]] == [
        {"id": "4", "quantity": "2", "received_quantity": "2", "unit": "EA", "unit_price": "31.64"},
        {"id": "5", "quantity": "12", "received_quantity": "0", "unit": "EA", "unit_price": "22.85"},
    ]


@pytest.mark.parametrize(
    ("state", "shipped", "status"),
    [
        ("draft", "none", "draft"),
        ("quotation", "none", "pending_approval"),
        ("confirmed", "none", "approved"),
        ("processing", "waiting", "ordered"),
        ("processing", "none", "ordered"),
        ("processing", "exception", "ordered"),
        ("processing", "partially shipped", "partially_received"),
        ("processing", "received", "received"),
        ("done", "received", "closed"),
        ("cancelled", "none", "cancelled"),
        ("invented", "none", "unknown"),
    ],
)
def test_purchase_when_in_a_state_then_the_status_is_unified(
    connector: Tryton, state: str, shipped: str, status: str
) -> None:
    order = mapped(connector, "purchase_order", {**PURCHASE, "state": state, "shipment_state": shipped})

    assert order["status"] == status and order["remote_status"] == state


def test_receipts_when_goods_go_back_or_come_in_another_unit_then_sign_and_null_say_so() -> None:
    move = {"state": "done", "quantity": 3.0, "unit": 1}
    back = {"type": "line", "quantity": -3.0, "unit.": {"id": 1}, "moves.": [move]}
    other = {"type": "line", "quantity": 30.0, "unit.": {"id": 2}, "moves.": [move]}
    add_receipts({"lines.": [back, other]})

    assert back["received_quantity"] == -3 and other["received_quantity"] is None


def test_production_when_mapped_then_materials_and_output_are_there(connector: Tryton) -> None:
    row = deepcopy(PRODUCTION)
    add_completed(row)
    work = mapped(connector, "work_order", row)

    names = ("kind", "status", "remote_status", "quantity", "completed_quantity", "planned_start", "due_date")
    assert some(work, *names, "actual_start", "actual_end") == {
        "kind": "production",
        "status": "completed",
        "remote_status": "done",
        "quantity": "1",
        "completed_quantity": "1",
        "planned_start": "2026-10-08T00:00:00Z",
        "due_date": "2026-10-09",
        "actual_start": "2026-10-10T00:00:00Z",
        "actual_end": None,
    }
    assert work["item"]["remote_id"] == "215" and work["location"]["name"] == "Northmoor plant"
    assert [some(line, "id", "quantity", "used_quantity", "unit") for line in work["lines"]] == [
        {"id": "852", "quantity": "14", "used_quantity": "14", "unit": "KG"},
        {"id": "853", "quantity": "6.25", "used_quantity": None, "unit": "M"},
    ]


def test_product_when_mapped_then_prices_supplier_and_stock_are_there(connector: Tryton) -> None:
    item = mapped(connector, "inventory_item", PRODUCT)

    names = ("number", "name", "kind", "status", "category", "unit", "unit_raw", "unit_cost", "list_price", "currency")
    assert some(item, *names) == {
        "number": "BRG-02",
        "name": "Deep groove ball bearing 6002",
        "kind": "good",
        "status": "active",
        "category": "Spare parts, Bearings",
        "unit": "unknown",
        "unit_raw": "box10",
        "unit_cost": "6.24",
        "list_price": "8.42",
        "currency": "USD",
    }
    assert item["vendor"]["remote_id"] == "33" and item["lead_time_days"] == 28 and item["reorder_point"] == "100"
    assert item["barcode"] == "4006381333931" and item["quantity_available"] == "97.5"
    assert [(level["location"]["remote_id"], level["quantity_on_hand"]) for level in item["stock"]] == [
        ("3", "2"),
        ("17", "96"),
    ]


def test_party_when_mapped_then_inactive_children_are_left_out(connector: Tryton) -> None:
    vendor = mapped(connector, "vendor", PARTY)

    assert some(vendor, "status", "email", "phone", "website", "tax_id", "payment_terms", "language") == {
        "status": "inactive",
        "email": "desk@alder.example",
        "phone": "+1 414 555000",
        "website": "https://alder.example",
        "tax_id": "US123456789",
        "payment_terms": "30 days net",
        "language": "en",
    }
    assert [(a["id"], a["kind"], a["country_code"]) for a in vendor["addresses"]] == [("1", "shipping", "US")]
    assert [(c["id"], c["email"], c["phone"]) for c in vendor["contacts"]] == [
        ("1", "desk@alder.example", None),
        ("2", None, "+1 414 555000"),
    ]


def test_location_when_mapped_then_kind_and_parent_are_there(connector: Tryton) -> None:
    place = mapped(connector, "location", LOCATION)

    assert (place["kind"], place["status"], place["parent"]["remote_id"]) == ("storage", "active", "11")
    assert place["address"] is None and place["remote_updated_at"] == "2026-05-03T00:30:00.195943Z"


# --- bytes --------------------------------------------------------------------------------------------------------


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_keys(item) for name, item in reversed(value.items())}
    return [reversed_keys(item) for item in reversed(value)] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "row", [PURCHASE, PRODUCTION, PRODUCT, PARTY], ids=["purchase", "production", "product", "party"]
)
def test_bytes_when_keys_and_children_come_in_another_order_then_they_are_equal(row: dict[str, Any]) -> None:
    assert object_bytes(reversed_keys(row), []) == object_bytes(row, [])


def test_bytes_when_children_are_newer_then_their_time_counts() -> None:
    stamps: list[datetime] = []
    object_bytes(PURCHASE, stamps)

    assert stamps == [datetime(2026, 11, 5, 3, 30, tzinfo=UTC)]


def test_bytes_when_an_older_series_has_no_common_stamp_then_the_write_or_creation_time_serves() -> None:
    stamps: list[datetime] = []
    row = {
        "id": 1,
        "write_date": None,
        "create_date": at(2020, 1, 1),
        "lines.": [{"id": 2, "write_date": at(2021, 1, 1)}],
    }
    found = orjson.loads(object_bytes(row, stamps))

    assert moment_of(found["last_modified_at"]) == datetime(2020, 1, 1, 0, 30, tzinfo=UTC)
    assert stamps == [datetime(2021, 1, 1, 0, 30, tzinfo=UTC)]


def test_decode_when_the_system_could_not_read_it_then_it_goes_to_quarantine(connector: Tryton) -> None:
    with pytest.raises(ValidationFailedError, match="a party is missing"):
        connector.decode(unreadable(7, "a party is missing"))
