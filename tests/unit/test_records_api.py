"""Unified records over the API: paging, filters, what is shown, who may see it, and what a page costs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection as database
from django.test import Client
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from core.ids import derived_id, namespace_of
from integrations.entities import ENTITIES, PurchaseOrder
from syncs.models import Sync
from syncs.services import update_sync
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
ORDERS = "/api/v1/purchase-orders"


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


@pytest.fixture
def client(connection: Connection) -> Client:
    """With a token of the connection, which may read records only."""
    return client_of(connection)


def client_of(connection: Connection, **facts: Any) -> Client:
    facts = {"scopes": [Scope.RECORDS_READ], "connection_id": connection.pk, **facts}
    return api(make_token(connection.workspace, **facts)[1])


def shown(connection: Connection) -> str:
    return f"con_{connection.pk.hex}"


def order_id(connection: Connection, remote_id: str) -> str:
    return f"po_{derived_id(namespace_of(connection.pk, 'purchase_order'), remote_id).hex}"


def page_of(client: Client, path: str = ORDERS, **parameters: Any) -> dict[str, Any]:
    response = client.get(path, parameters)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return response.json()


def remote_ids(page: dict[str, Any]) -> list[str]:
    return [record["remote_id"] for record in page["data"]]


def code_of(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


# --- what a page holds -----------------------------------------------------------------------------------------------


def test_list_when_synced_then_records_are_as_the_schema_says(client, connection, erp_server):
    erp_server.add_orders(3)
    sync = sync_of(connection)
    run_sync(sync)
    page = page_of(client)
    assert sorted(remote_ids(page)) == ["1001", "1002", "1003"] and page["next_cursor"] is None
    for record in page["data"]:
        PurchaseOrder.record_model().model_validate(record)
        assert list(record)[:4] == ["id", "connection_id", "entity", "remote_id"]
        assert list(record)[-3:] == ["changed_at", "deleted_at", "version"]
        assert record["connection_id"] == shown(connection) and "raw" not in record
    assert page["data"] == sorted(page["data"], key=lambda record: (record["changed_at"], record["id"]))
    sync.refresh_from_db()
    assert page["meta"] == {
        "data_as_of": sync.data_as_of.isoformat().replace("+00:00", "Z"),
        "sync_status": "completed",
    }


def test_list_when_never_synced_then_empty_and_says_so(client, connection):
    assert page_of(client) == {
        "data": [],
        "next_cursor": None,
        "meta": {"data_as_of": None, "sync_status": "never_synced"},
    }
    sync_of(connection)
    assert page_of(client)["meta"] == {"data_as_of": None, "sync_status": "never_synced"}


def test_list_when_rows_change_while_paging_then_none_is_missed(client, connection, erp_server):
    erp_server.add_orders(250)
    sync = sync_of(connection)
    run_sync(sync)
    first = page_of(client, limit=100)
    changed = remote_ids(first)[0]
    ahead = next(remote_id for remote_id in erp_server.orders if remote_id not in remote_ids(first))
    erp_server.change("orders", changed, text="Changed behind the reader")
    erp_server.change("orders", ahead, text="Changed ahead of the reader")
    erp_server.add_orders(1, first=2000)
    run_sync(sync)
    pages = [first]
    while pages[-1]["next_cursor"]:
        pages.append(page_of(client, limit=100, cursor=pages[-1]["next_cursor"]))
    seen = [remote_id for page in pages for remote_id in remote_ids(page)]
    assert set(seen) == {str(number) for number in range(1001, 1251)} | {"2000"}
    # What changed behind the reader comes again, in its new form; nothing else does.
    assert len(seen) == 252 and seen.count(changed) == 2
    assert [len(page["data"]) for page in pages] == [100, 100, 52]
    versions = {record["remote_id"]: record["version"] for page in pages for record in page["data"]}
    assert versions[changed] == 2 and versions[ahead] == 2


def test_list_when_the_page_is_full_and_the_last_then_no_cursor(client, connection, erp_server):
    erp_server.add_orders(4)
    run_sync(sync_of(connection))
    page = page_of(client, limit=2)
    page = page_of(client, limit=2, cursor=page["next_cursor"])
    assert len(page["data"]) == 2 and page["next_cursor"] is None


def test_list_when_the_text_is_not_ascii_then_it_comes_through(client, connection, erp_server):
    erp_server.add_orders(1, text='Dichtung „Ø 45" \\ 日本 😀 }')
    run_sync(sync_of(connection))
    assert page_of(client)["data"][0]["description"] == 'Dichtung „Ø 45" \\ 日本 😀 }'


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def varied(connection: Connection, erp_server: TestErpServer) -> Connection:
    erp_server.add_orders(2, status="open", ordered_on="2026-10-01")
    erp_server.add_orders(1, first=1003, status="draft", ordered_on="2026-10-05", vendor_id="8")
    erp_server.add_orders(1, first=1004, status="done", ordered_on="2026-10-09", vendor_id="9")
    erp_server.change("orders", "1003", number="A,B")
    erp_server.change("orders", "1004", number="A")
    run_sync(sync_of(connection))
    return connection


FITTING: list[tuple[dict[str, str], str]] = [
    ({"status": "ordered"}, "1001 1002"),
    ({"status": "draft,received"}, "1003 1004"),
    ({"status": "approved"}, ""),
    ({"number": "PO-1001,PO-1002"}, "1001 1002"),
    ({"number": "A,B"}, "1003 1004"),
    ({"number": "A"}, "1004"),
    ({"vendor_remote_id": "8"}, "1003"),
    ({"vendor_remote_id": "8,9"}, "1003 1004"),
    ({"order_date": "2026-10-05"}, "1003"),
    ({"order_date_from": "2026-10-05"}, "1003 1004"),
    ({"order_date_to": "2026-10-05"}, "1001 1002 1003"),
    ({"order_date_from": "2026-10-02", "order_date_to": "2026-10-08"}, "1003"),
    ({"remote_id": "1002"}, "1002"),
    ({"remote_id": "1002,1004,7"}, "1002 1004"),
    ({"status": "ordered,draft", "vendor_remote_id": "7", "order_date_to": "2026-10-05"}, "1001 1002"),
    ({"expected_date_from": "2026-01-01"}, ""),
]


def test_list_when_filtered_then_only_what_fits(varied, client):
    for parameters, expected in FITTING:
        assert sorted(remote_ids(page_of(client, **parameters))) == expected.split(), parameters


def test_list_when_filtered_by_our_id_of_a_reference_then_it_is_found(varied, client):
    (record,) = page_of(client, vendor_remote_id="8")["data"]
    assert remote_ids(page_of(client, vendor=record["vendor"]["id"])) == ["1003"]


def test_list_when_filtered_by_times_then_later_ones_only(varied, client, erp_server):
    records = page_of(client)["data"]
    middle = records[1]["changed_at"]
    later = [record["remote_id"] for record in records if record["changed_at"] > middle]
    assert remote_ids(page_of(client, modified_after=middle)) == later
    created, updated = records[0]["remote_created_at"], records[0]["remote_updated_at"]
    assert page_of(client, remote_modified_after=updated)["data"] == []
    assert page_of(client, remote_created_after=created)["data"] == []
    assert len(page_of(client, remote_modified_after="2020-01-01T00:00:00Z")["data"]) == 4
    assert len(page_of(client, remote_created_after="2020-01-01T01:00:00+01:00")["data"]) == 4


UNREADABLE = [
    ("stauts=draft", "UNKNOWN_PARAMETER"),
    ("status=nonsense", "INVALID_PARAMETER"),
    ("status=draft,,open", "INVALID_PARAMETER"),
    ("vendor=po_00000000000000000000000000000000", "INVALID_PARAMETER"),
    (f"vendor=ven_{'0' * 32}&vendor_remote_id=7", "INVALID_PARAMETER"),
    ("order_date=yesterday", "INVALID_PARAMETER"),
    ("order_date_from=2026-13-01", "INVALID_PARAMETER"),
    ("modified_after=2026-10-01", "INVALID_PARAMETER"),
    ("limit=501", "INVALID_PARAMETER"),
    ("limit=0", "INVALID_PARAMETER"),
    ("cursor=AAAA", "INVALID_CURSOR"),
    ("include=provenance", "INVALID_PARAMETER"),
    ("expand=lines", "INVALID_PARAMETER"),
    ("include_deleted=yes", "INVALID_PARAMETER"),
    ("remote_id=a%00b", "INVALID_CHARACTER"),
    ("status=draft&status=closed", "REPEATED_PARAMETER"),
]


def test_list_when_a_parameter_cannot_be_read_then_400(client, connection):
    for query, code in UNREADABLE:
        assert code_of(client.get(f"{ORDERS}?{query}")) == (400, code), query


def test_list_when_a_cursor_meets_other_filters_or_lists_then_400(varied, client, erp_server):
    cursor = page_of(client, limit=1)["next_cursor"]
    assert code_of(client.get(ORDERS, {"cursor": cursor, "status": "ordered"})) == (400, "INVALID_CURSOR")
    assert code_of(client.get("/api/v1/vendors", {"cursor": cursor})) == (400, "INVALID_CURSOR")
    other = connect(erp_server, workspace=varied.workspace, name="Plant 2")
    assert code_of(client_of(other).get(ORDERS, {"cursor": cursor})) == (400, "INVALID_CURSOR")


def test_list_when_the_source_deleted_then_tombstones_on_request_only(client, connection, erp_server):
    erp_server.add_orders(3)
    sync = sync_of(connection)
    run_sync(sync)
    before = page_of(client)["data"][-1]["changed_at"]
    erp_server.delete("orders", "1002")
    assert run_sync(sync, "full").deleted_count == 1
    assert sorted(remote_ids(page_of(client))) == ["1001", "1003"]
    (gone,) = page_of(client, include_deleted="true", modified_after=before)["data"]
    assert gone["remote_id"] == "1002" and gone["deleted_at"] == gone["changed_at"] and gone["version"] == 2
    path = f"{ORDERS}/{gone['id']}"
    assert code_of(client.get(path)) == (404, "NOT_FOUND")
    assert client.get(path, {"include_deleted": "true"}).json() == gone


# --- beside and inside the record ------------------------------------------------------------------------------------


def test_include_raw_when_asked_then_the_object_as_it_came(client, connection, erp_server):
    erp_server.add_orders(1, extra={"deep": [1, {"ß": None}]})
    run_sync(sync_of(connection))
    (record,) = page_of(client, include="raw")["data"]
    assert record["raw"] == erp_server.orders["1001"] and record["version"] == 1
    assert client.get(f"{ORDERS}/{record['id']}", {"include": "raw"}).json() == record


def test_expand_when_the_target_is_copied_then_the_whole_record(client, connection, erp_server):
    erp_server.add_vendors(7)
    erp_server.add_orders(2)
    erp_server.add_orders(1, first=1003, vendor_id="99")
    erp_server.add_orders(1, first=1004, vendor_id=None, vendor_name=None)
    for entity in ("purchase_order", "vendor"):
        run_sync(sync_of(connection, entity))
    plain = {record["remote_id"]: record for record in page_of(client)["data"]}
    page = page_of(client, expand="vendor", include="raw")
    found = {record["remote_id"]: record for record in page["data"]}
    (whole,) = page_of(client, "/api/v1/vendors", remote_id="7")["data"]
    assert found["1001"]["vendor"] == whole == found["1002"]["vendor"]
    assert found["1001"] == {**plain["1001"], "vendor": whole, "raw": erp_server.orders["1001"]}
    # What is not copied stays a reference; what is empty stays empty.
    assert found["1003"]["vendor"] == plain["1003"]["vendor"] and found["1004"]["vendor"] is None
    assert client.get(f"{ORDERS}/{whole['id'].replace('ven_', 'po_')}").status_code == 404
    one = client.get(f"{ORDERS}/{found['1001']['id']}", {"expand": "vendor,delivery_location"}).json()
    assert one["vendor"] == whole and one["delivery_location"] is None
    with scope(workspace=connection.workspace_id):
        update_sync(sync_of(connection, "vendor"), enabled=False)
    # What the customer does not share is not shown by way of a reference either.
    assert page_of(client, remote_id="1001", expand="vendor")["data"] == [plain["1001"]]


def test_detail_when_the_version_is_known_then_304(client, connection, erp_server):
    erp_server.add_orders(1)
    sync = sync_of(connection)
    run_sync(sync)
    path = f"{ORDERS}/{order_id(connection, '1001')}"
    response = client.get(path)
    assert (response.status_code, response["ETag"]) == (200, '"1"')
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", '"1"')
    erp_server.change("orders", "1001", text="Other")
    run_sync(sync)
    changed = client.get(path, headers={"If-None-Match": '"1"'})
    assert (changed.status_code, changed["ETag"], changed.json()["version"]) == (200, '"2"', 2)
    assert "ETag" not in client.get(path, {"include": "raw"}, headers={"If-None-Match": '"2"'})


# --- who may see it --------------------------------------------------------------------------------------------------


def test_workspace_token_when_no_connection_is_named_then_400_else_its_records(connection, erp_server):
    erp_server.add_orders(1)
    run_sync(sync_of(connection))
    client = client_of(connection, connection_id=None)
    assert code_of(client.get(ORDERS)) == (400, "CONNECTION_REQUIRED")
    assert remote_ids(page_of(client, connection=shown(connection))) == ["1001"]
    response = client.get(ORDERS, headers={"X-Connection-Id": shown(connection)})
    assert remote_ids(response.json()) == ["1001"]


def test_cursor_when_the_connection_is_named_in_another_way_then_it_goes_on(connection, erp_server):
    erp_server.add_orders(3)
    run_sync(sync_of(connection))
    client = client_of(connection, connection_id=None)
    cursor = page_of(client, connection=shown(connection), limit=2)["next_cursor"]
    rest = client.get(f"{ORDERS}?cursor={quote(cursor)}", headers={"X-Connection-Id": shown(connection)})
    assert len(rest.json()["data"]) == 1


def test_foreign_records_when_asked_for_then_404(connection, erp_server):
    erp_server.add_orders(1)
    run_sync(sync_of(connection))
    path = f"{ORDERS}/{order_id(connection, '1001')}"
    header = {"X-Connection-Id": shown(connection)}
    assert client_of(connection).get(path).status_code == 200
    sibling = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    stranger = make_workspace("Other")
    outsider = api(make_token(stranger, scopes=[Scope.RECORDS_READ])[1])
    test = client_of(connection, connection_id=None, environment="test")
    # Another connection of the same workspace sees neither the record nor the connection it belongs to.
    assert code_of(client_of(sibling).get(path)) == (404, "NOT_FOUND")
    assert page_of(client_of(sibling))["data"] == []
    for other in (client_of(sibling), outsider, test):
        assert code_of(other.get(path, headers=header)) == (404, "NOT_FOUND")
        assert code_of(other.get(ORDERS, headers=header)) == (404, "NOT_FOUND")


def test_list_when_the_scope_is_missing_then_403_and_without_a_token_401(connection):
    client = client_of(connection, scopes=[Scope.SYNCS_WRITE])
    assert code_of(client.get(ORDERS)) == (403, "MISSING_SCOPE")
    assert api(None).get(ORDERS).status_code == 401


def test_entity_when_the_system_lacks_it_then_422_and_never_an_empty_list(client):
    for path in ("/api/v1/assets", f"/api/v1/assets/ast_{'0' * 32}"):
        assert code_of(client.get(path)) == (422, "OPERATION_NOT_SUPPORTED")


def test_entity_when_it_is_not_shared_then_422(client, connection, erp_server):
    erp_server.add_orders(1)
    sync = sync_of(connection)
    run_sync(sync)
    with scope(workspace=connection.workspace_id):
        update_sync(sync, enabled=False)
    assert code_of(client.get(ORDERS)) == (422, "ENTITY_NOT_SHARED")
    assert code_of(client.get(f"{ORDERS}/{order_id(connection, '1001')}")) == (422, "ENTITY_NOT_SHARED")


def test_detail_when_the_id_cannot_be_read_then_404(client):
    for wrong in ("nonsense", "po_123", f"ven_{'0' * 32}", f"po_{'0' * 32}"):
        assert code_of(client.get(f"{ORDERS}/{wrong}")) == (404, "NOT_FOUND")


def test_every_entity_has_its_addresses(client):
    for entity in ENTITIES.values():
        assert client.get(f"/api/v1/{entity.describes.slug}").status_code in (200, 422)
    assert client.put(ORDERS, {}, content_type="application/json").status_code == 405


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_list_when_read_then_four_statements(client, connection, erp_server, django_assert_max_num_queries):
    erp_server.add_orders(150)
    run_sync(sync_of(connection))
    client.get(ORDERS)  # notes the use of the token, once a minute
    with django_assert_max_num_queries(4):
        page = page_of(client)
    assert len(page["data"]) == 100
    with django_assert_max_num_queries(4):
        page_of(client, status="ordered", order_date_from="2026-01-01", include="raw")
    with django_assert_max_num_queries(4):
        client.get(f"{ORDERS}/{page['data'][0]['id']}")
    with django_assert_max_num_queries(5):
        page_of(client, expand="vendor")


def test_list_when_unfiltered_then_it_walks_the_index_in_order(client, connection, erp_server):
    erp_server.add_orders(500)
    run_sync(sync_of(connection))
    with database.cursor() as cursor:
        cursor.execute("ANALYZE syncs_record")
        cursor.execute(
            "EXPLAIN SELECT body FROM syncs_record WHERE workspace_id = %s AND connection_id = %s AND entity = %s"
            " AND deleted_at IS NULL AND (changed_at, id) > (now() - interval '1 day', %s)"
            " ORDER BY changed_at, id LIMIT 11",
            [connection.workspace_id, connection.pk, "purchase_order", connection.pk],
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "record_in_list_order" in plan and "Sort" not in plan


def test_ids_when_shown_then_they_are_those_of_the_rows(client, connection, erp_server):
    erp_server.add_orders(1)
    run_sync(sync_of(connection))
    (record,) = page_of(client)["data"]
    with scopes_disabled():
        assert Sync.objects.get(connection=connection, entity="purchase_order").data_as_of is not None
    assert ids.read("po", record["id"]) is not None and record["id"] == order_id(connection, "1001")
