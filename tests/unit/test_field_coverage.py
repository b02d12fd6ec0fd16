"""How well the unified fields are filled."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope

from connections.models import Connection
from connections.services import set_mapping
from core.errors import NotSupportedError
from syncs.services import field_coverage
from syncs.services.field_coverage import coverage, entity_coverage
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token, make_workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    erp_server.add_orders(6)
    erp_server.add_orders(2, first=1007, notes="", vendor_id=None, vendor_name=None, status="odd", lines=[])
    erp_server.add_orders(2, first=1009, status="void")
    return connect(erp_server, workspace=make_workspace())


def fields(connection: Connection, entity: str = "purchase_order") -> dict[str, Any]:
    with scope(workspace=connection.workspace_id):
        return {one.name: one for one in entity_coverage(connection, entity).fields}


def test_coverage_counts_records_elements_and_unknown_choices(connection: Connection) -> None:
    with scope(workspace=connection.workspace_id):
        set_mapping(
            connection, "purchase_order", [{"target": "custom.gate", "source": "notes", "type": "text"}], by="ann"
        )
    run_sync(sync_of(connection))

    found = fields(connection)

    assert (found["notes"].percent, found["notes"].seen) == (80.0, 10)
    assert found["vendor"].percent == 80.0
    assert (found["status"].percent, found["status"].unknown) == (80.0, 2)
    assert (found["lines"].percent, found["lines.quantity"].seen, found["lines.quantity"].percent) == (80.0, 16, 100.0)
    assert found["custom.gate"].percent == 80.0 and found["custom.gate"].mapped
    unmapped = found["payment_terms"]
    assert (unmapped.mapped, unmapped.percent) == (False, 0.0)
    assert found["lines.tax_amount" if "lines.tax_amount" in found else "lines.item"].mapped is False


def test_coverage_of_a_sample_says_that_there_is_more(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sync(sync_of(connection))
    with scope(workspace=connection.workspace_id):
        whole = entity_coverage(connection, "purchase_order")
        monkeypatch.setattr(field_coverage, "SAMPLE", 4)
        sampled = entity_coverage(connection, "purchase_order")

    assert (whole.sampled, whole.complete, sampled.sampled, sampled.complete) == (10, True, 4, False)


def test_coverage_of_a_connection_is_of_what_is_shared_and_costs_no_query_a_record(connection: Connection) -> None:
    run_sync(sync_of(connection))
    connection.shared = {"purchase_order": "read"}
    with scope(workspace=connection.workspace_id):
        with CaptureQueriesContext(
            database,
        ) as queries:
            found = coverage(connection)
        with pytest.raises(NotSupportedError, match="does not share"):
            entity_coverage(connection, "vendor")
        with pytest.raises(NotSupportedError, match="asset"):
            coverage(connection, ["asset"])

    assert [one.entity for one in found] == ["purchase_order"]
    assert len(queries) <= 6, [query["sql"][:120] for query in queries]


def test_coverage_when_nothing_is_stored_says_of_how_many(connection: Connection) -> None:
    with scope(workspace=connection.workspace_id):
        found = entity_coverage(connection, "purchase_order")

    assert (found.sampled, found.complete) == (0, True)
    assert {one.percent for one in found.fields} == {None}


def test_api_tells_coverage(connection: Connection) -> None:
    run_sync(sync_of(connection))
    client = api(make_token(connection.workspace, scopes=["connections:read"])[1])
    address = f"/api/v1/connections/con_{connection.pk.hex}/coverage"

    every = client.get(address).json()["data"]
    one = client.get(f"{address}?entity=purchase-orders").json()["data"]

    assert [entity["entity"] for entity in every] == ["purchase_order", "vendor"]
    assert one == every[:1]
    number = next(field for field in one[0]["fields"] if field["name"] == "number")
    assert number == {"name": "number", "kind": "string", "mapped": True, "seen": 10, "filled": 10, "unknown": 0, "filled_percent": 100.0}  # fmt: skip
    assert client.get(f"{address}?entity=spaceships").status_code == 404
    assert client.get(f"{address}?entity=assets").status_code == 422
    assert client.get(f"{address}?colour=red").status_code == 400
