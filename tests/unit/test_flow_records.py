"""Steps that read: the records of the API, its filters, what is shared, and nothing of a deleted record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from connections.models import Connection
from core.errors import ConflictError, LineshaftError, NotFoundError, NotSupportedError, ValidationFailedError
from flows.engine.handlers import HANDLERS
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.flow_turns import flow_of, held_turn
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token
from tests.writes_stage import ok, po
from tests.writing import writing_erp  # noqa: F401
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]
ORDERS = "/api/v1/purchase-orders"


@pytest.fixture
def plant(erp_server: TestErpServer) -> Iterator[Connection]:
    """Four orders in the copy: two open ones of vendor 7, one done of vendor 8, one that was deleted."""
    found = connect(erp_server)
    erp_server.add_orders(2, first=1, status="open", vendor_id="7", vendor_name="Bolts, Nuts & Co")
    erp_server.add_orders(1, first=3, status="done", vendor_id="8", text="Seals, large")
    erp_server.add_orders(1, first=4, status="open")
    assert run_sync(sync_of(found)).status == "completed"
    erp_server.delete("orders", "4")
    assert run_sync(sync_of(found), "full", rounds=3).status == "completed"
    erp_server.forget_calls()
    with scopes_disabled():
        yield found


def reading(plant: Connection, do: str = "list_records", **fields: Any) -> dict[str, Any]:
    return {"name": "read", "do": do, "connection": "erp", "entity": "purchase_order", **fields}


def answered(plant: Connection, *, is_dry: bool = False, **fields: Any) -> Any:
    flow = flow_of(reading(plant, **fields), erp=plant)
    turn = held_turn(flow, is_dry=is_dry)
    return HANDLERS[turn.step.do](turn).output  # type: ignore[union-attr]


def refused(plant: Connection, kind: type[LineshaftError] = ValidationFailedError, **fields: Any) -> LineshaftError:
    with pytest.raises(kind) as caught:
        answered(plant, **fields)
    return caught.value


@pytest.fixture
def client(plant: Connection) -> Client:
    return api(make_token(plant.workspace, scopes=(Scope.RECORDS_READ,), connection_id=plant.pk)[1])


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    return ok(client.get(f"{ORDERS}?{query}"))["data"]  # type: ignore[no-any-return]


def test_records_are_those_of_the_api_to_the_letter(plant: Connection, client: Client) -> None:
    assert answered(plant) == {"records": listed(client), "count": 3, "is_cut": False}
    cut = answered(plant, limit=2)
    assert (cut["records"], cut["count"], cut["is_cut"]) == (listed(client)[:2], 2, True)
    assert answered(plant, limit=3)["is_cut"] is False


@pytest.mark.parametrize(
    ("where", "query"),
    [
        ({"status": "ordered"}, "status=ordered"),
        ({"status": ["ordered", "received"]}, "status=ordered,received"),
        ({"vendor_remote_id": "8"}, "vendor_remote_id=8"),
        ({"vendor_remote_id": 7, "status": "ordered"}, "vendor_remote_id=7&status=ordered"),
        ({"remote_id": ["1", "3"]}, "remote_id=1,3"),
        ({"remote_modified_after": "2020-01-01T00:00:00Z"}, "remote_modified_after=2020-01-01T00:00:00Z"),
        ({"order_date_from": "2020-01-01", "order_date_to": "2030-01-01"}, "order_date_from=2020-01-01"),
        ({"number": "PO-none"}, "number=PO-none"),
    ],
)
def test_filters_are_those_of_the_api(plant: Connection, client: Client, where: Any, query: str) -> None:
    assert answered(plant, where=where)["records"] == listed(client, query)


def test_our_id_of_a_reference_filters_too_and_a_list_of_none_finds_none(plant: Connection) -> None:
    vendor = answered(plant, where={"remote_id": "3"})["records"][0]["vendor"]
    assert [found["remote_id"] for found in answered(plant, where={"vendor": vendor["id"]})["records"]] == ["3"]
    for name in ("vendor", "vendor_remote_id", "remote_id", "status", "number"):
        assert answered(plant, where={name: []})["count"] == 0, name


def test_a_comma_within_a_value_is_a_comma(plant: Connection, erp_server: TestErpServer) -> None:
    erp_server.change("orders", "1", number="A,B")
    erp_server.change("orders", "2", number="A")
    assert run_sync(sync_of(plant)).status == "completed"
    assert [found["remote_id"] for found in answered(plant, where={"number": "A,B"})["records"]] == ["1"]
    assert answered(plant, where={"number": ["A,B", "A"]})["count"] == 2
    assert refused(plant, where={"status": "ordered,received"}).code == "INVALID_FILTER"


@pytest.mark.parametrize(
    ("where", "pointer"),
    [
        ({"colour": "red"}, "/where/colour"),
        ({"include_deleted": True}, "/where/include_deleted"),
        ({"limit": "5"}, "/where/limit"),
        ({"expand": "vendor"}, "/where/expand"),
        ({"status": "shiny"}, "/where/status"),
        ({"status": None}, "/where/status"),
        ({"status": [None]}, "/where/status"),
        ({"status": ""}, "/where/status"),
        ({"status": {"a": 1}}, "/where/status"),
        ({"status": True}, "/where/status"),
        ({"number": "x" * 5000}, "/where/number"),
        ({"remote_id": [str(number) for number in range(101)]}, "/where/remote_id"),
        ({"vendor": "itm_1"}, "/where/vendor"),
        ({"vendor": "ven_" + "0" * 32, "vendor_remote_id": "8"}, "/where/vendor"),
        ({"order_date": "2026-02-30"}, "/where/order_date"),
        ({"remote_modified_after": "yesterday"}, "/where/remote_modified_after"),
    ],
)
def test_what_is_no_filter_is_refused_by_its_pointer(plant: Connection, where: Any, pointer: str) -> None:
    error = refused(plant, where=where)
    assert [found.pointer for found in error.errors] == [pointer]
    assert pointer.rpartition("/")[2] in error.detail


def test_an_unknown_filter_names_the_close_one(plant: Connection) -> None:
    assert "did you mean status?" in refused(plant, where={"statsu": "x"}).detail


def test_changed_since(plant: Connection) -> None:
    last = answered(plant)["records"][-1]["changed_at"]
    assert answered(plant, changed_since=last)["count"] == 0
    assert answered(plant, changed_since="2020-01-01T00:00:00Z")["count"] == 3
    assert refused(plant, changed_since="monday").errors[0].pointer == "/changed_since"


def test_one_record_by_our_id_and_by_the_systems(plant: Connection, client: Client) -> None:
    told = ok(client.get(f"{ORDERS}/{po(plant)}"))
    assert answered(plant, do="get_record", id=po(plant)) == {"record": told}
    assert answered(plant, do="get_record", remote_id="1") == {"record": told}
    assert answered(plant, do="get_record", remote_id=1) == {"record": told}


@pytest.mark.parametrize("named", [{"remote_id": "4"}, {"remote_id": "99"}, {"id": "po_" + "0" * 32}, {}])
def test_a_record_that_is_not_there_fails_or_is_null(plant: Connection, named: Any) -> None:
    assert refused(plant, NotFoundError, do="get_record", **named).code == "RECORD_NOT_FOUND"
    assert answered(plant, do="get_record", if_missing="null", **named) == {"record": None}


@pytest.mark.parametrize(
    "named", [{"id": "1"}, {"id": 7}, {"id": "ven_" + "0" * 32}, {"remote_id": {}}, {"remote_id": ""}]
)
def test_what_is_no_id_is_told(plant: Connection, named: Any) -> None:
    assert refused(plant, do="get_record", **named).code == "INVALID_ID"
    assert refused(plant, do="get_record", if_missing="null", **named).code == "INVALID_ID"


def test_a_fresh_record_is_read_from_the_system_first_but_not_in_a_trial(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    erp_server.change("orders", "1", notes="Gate 9")
    stale = answered(plant, do="get_record", id=po(plant), is_fresh=True, is_dry=True)
    assert stale["record"]["notes"] != "Gate 9"
    assert erp_server.calls == []
    assert answered(plant, do="get_record", id=po(plant), is_fresh=True)["record"]["notes"] == "Gate 9"
    erp_server.delete("orders", "1")
    assert answered(plant, do="get_record", id=po(plant), is_fresh=True, if_missing="null") == {"record": None}
    assert answered(plant, do="get_record", remote_id="99", is_fresh=True, if_missing="null") == {"record": None}


def test_what_is_not_shared_is_an_error_that_names_it(plant: Connection) -> None:
    sync = sync_of(plant)
    sync.enabled = False
    sync.save(update_fields=["enabled"])
    for do in ({"do": "list_records"}, {"do": "get_record", "id": po(plant)}):
        error = refused(plant, NotSupportedError, **do)
        assert error.code == "ENTITY_NOT_SHARED"
        assert "Plant 1 does not share its purchase orders" in error.detail
    assert "has no asset" in refused(plant, NotSupportedError, entity="asset").detail


def test_a_connection_that_is_being_purged_is_gone(plant: Connection) -> None:
    plant.purge_requested_at = plant.created_at
    plant.save(update_fields=["purge_requested_at"])
    assert refused(plant, ConflictError).code == "CONNECTION_DISCONNECTED"
