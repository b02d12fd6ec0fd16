"""Times the system writes without a zone are those of the connection's zone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from connections.models import Connection
from connections.services import effective_mapping, update_connection
from integrations.entities import PurchaseOrder, WorkOrder
from integrations.sdk.mapping import MappingRow, compile_mapping
from integrations.sdk.transforms import make
from tests.connectors import TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, event_types, run_sync, sync_of

CONNECTION = UUID("01a20b00-0000-7000-8000-000000000001")
MORNING = "2026-01-01T09:00:00"


def created(value: Any, *transforms: dict[str, Any], zone: str = "Asia/Tokyo") -> Any:
    """What `remote_created_at` becomes."""
    rows = [MappingRow("remote_created_at", "at", transforms=transforms)]
    return compile_mapping(PurchaseOrder.spec(), rows, connection_id=CONNECTION, zone=zone).created({"at": value})


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (MORNING, "2026-01-01T00:00:00Z"),
        ("2026-01-01 09:00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T09:00:00+01:00", "2026-01-01T08:00:00Z"),
        ("2026-01-01T09:00:00Z", "2026-01-01T09:00:00Z"),
        ("2026-01-01T09:00:00.5Z", "2026-01-01T09:00:00.500000Z"),
    ],
)
@pytest.mark.parametrize("transforms", [(), ({"name": "datetime"},)], ids=["coerced", "transformed"])
def test_time_when_written_without_a_zone_then_it_is_the_connections(
    written: str, shown: str, transforms: tuple[dict[str, Any], ...]
) -> None:
    assert created(written, *transforms) == shown


def test_time_when_the_zone_has_summer_time_then_each_day_has_its_own_offset() -> None:
    assert created("2026-01-01T09:00:00", zone="Europe/Berlin") == "2026-01-01T08:00:00Z"
    assert created("2026-07-01T09:00:00", zone="Europe/Berlin") == "2026-07-01T07:00:00Z"


def test_time_when_no_zone_is_given_then_it_is_utc() -> None:
    rows = [MappingRow("remote_created_at", "at")]
    compiled = compile_mapping(PurchaseOrder.spec(), rows, connection_id=CONNECTION)
    assert compiled.created({"at": MORNING}) == "2026-01-01T09:00:00Z"
    assert make({"name": "datetime"})[1](MORNING) == "2026-01-01T09:00:00Z"


def test_transform_when_its_row_names_a_zone_then_that_one_holds() -> None:
    assert created(MORNING, {"name": "datetime", "zone": "Europe/Berlin"}) == "2026-01-01T08:00:00Z"
    german = {"name": "datetime", "format": "%d.%m.%Y %H:%M"}
    assert created("01.01.2026 09:00", german) == "2026-01-01T00:00:00Z"
    assert created("01.01.2026 09:00", {**german, "zone": "UTC"}) == "2026-01-01T09:00:00Z"


def test_transform_when_it_counts_seconds_then_no_zone_matters() -> None:
    assert created(1767258000, {"name": "datetime", "epoch": "seconds"}) == "2026-01-01T09:00:00Z"


def test_entity_field_when_it_is_a_moment_then_the_zone_holds_and_a_day_stays_as_written() -> None:
    rows = [MappingRow("planned_start", "at")]
    work_order = compile_mapping(WorkOrder.spec(), rows, connection_id=CONNECTION, zone="Asia/Tokyo")
    assert work_order.map({"at": MORNING})["planned_start"] == "2026-01-01T00:00:00Z"
    assert work_order.shape.build_slowly({"at": MORNING}) == work_order.shape.build({"at": MORNING})
    rows = [MappingRow("order_date", "at")]
    order = compile_mapping(PurchaseOrder.spec(), rows, connection_id=CONNECTION, zone="America/New_York")
    assert order.map({"at": "2026-01-01T23:00:00"})["order_date"] == "2026-01-01"


@pytest.fixture
def connection(erp_connector: type[TestErp], erp_server: TestErpServer) -> Connection:
    return connect(erp_server, time_zone="Asia/Tokyo")


@pytest.mark.django_db(transaction=True)
def test_digest_when_only_the_zone_differs_then_it_differs(connection: Connection) -> None:
    tokyo = effective_mapping(connection, "purchase_order")
    connection.time_zone = "Europe/Berlin"
    berlin = effective_mapping(connection, "purchase_order")
    assert tokyo.rows == berlin.rows and tokyo.digest != berlin.digest


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["full", "remap"])
def test_zone_when_it_changes_then_the_next_full_run_or_remap_maps_every_record_anew(
    connection: Connection,
    erp_server: TestErpServer,
    mode: str,
) -> None:
    erp_server.add_orders(3, created_at=MORNING)
    sync = sync_of(connection)
    assert run_sync(sync).created_count == 3
    assert {order["remote_created_at"] for order in copy_of(sync).live.values()} == {"2026-01-01T00:00:00Z"}

    update_connection(connection, changes={"time_zone": "Europe/Berlin"}, by="test", check=False)
    assert run_sync(sync, mode).updated_count == 3
    assert {order["remote_created_at"] for order in copy_of(sync).live.values()} == {"2026-01-01T08:00:00Z"}
    assert set(copy_of(sync).versions.values()) == {2} and event_types(sync)["record.updated"] >= 1
    assert run_sync(sync, "full").updated_count == 0
