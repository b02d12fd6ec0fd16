"""Many writes in one call of the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.connectors import erp_server  # noqa: F401
from tests.writes_stage import (  # noqa: F401
    NEW,
    OPERATIONS,
    ORDERS,
    client,
    connection,
    count,
    ok,
    po,
    refused,
    send,
    working,
    writes_to,
)
from tests.writing import worker, writing_erp  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]


def bulk(client: Client, *items: dict[str, Any], **headers: Any) -> Any:
    return send(client, "post", f"{ORDERS}/bulk", {"items": list(items)}, **headers)


@working
def test_bulk_then_each_item_has_its_own_outcome(client, connection, erp_server):
    ids = [po(connection, "1"), po(connection, "2")]
    response = bulk(
        client,
        {"operation": "create", "body": NEW},
        {"operation": "update", "id": ids[0], "body": {"notes": "A"}, "if_match": 1},
        {"operation": "update", "id": ids[1], "body": {"notes": "B"}, "if_match": '"9"'},
        {"operation": "update", "id": ids[0], "body": {"lines": [{"quantity": "x"}]}},
        {"operation": "delete", "id": po(connection, "77")},
        {"operation": "action", "id": ids[0], "action": "shred"},
        {"operation": "delete", "id": ids[1]},
        Prefer="wait=30",
    )
    body = ok(response)
    data = body["data"]
    assert [item["status"] for item in data] == [201, 200, 412, 422, 404, 422, 200]
    assert [item["index"] for item in data] == list(range(7))
    assert [item["problem"] and item["problem"]["code"] for item in data] == [
        None, None, "VERSION_CONFLICT", "VALIDATION_FAILED", "NOT_FOUND", "OPERATION_NOT_SUPPORTED", None,
    ]  # fmt: skip
    assert data[3]["problem"]["errors"][0]["pointer"] == "/items/3/body/lines/0/quantity"
    assert [item["operation"] is None for item in data] == [False, False, True, True, True, True, False]
    listed = ok(client.get(OPERATIONS, {"batch": body["batch_id"]}))["data"]
    assert {one["id"] for one in listed} == {item["operation"]["id"] for item in data if item["operation"]}
    assert ok(client.get(OPERATIONS, {"record": ids[0]}))["data"][0]["request"] == {"notes": "A"}


@working
def test_bulk_when_it_is_sent_again_under_its_key_then_nothing_is_done_twice(client, connection, erp_server):
    items = [{"operation": "create", "body": {**NEW, "notes": str(n)}} for n in range(20)]
    first, again = (ok(bulk(client, *items, Idempotency_Key="batch", Prefer="wait=30")) for _ in range(2))
    assert {item["status"] for item in first["data"]} == {201} and first == again
    assert writes_to(erp_server) == ["POST /orders"] * 20
    other = ok(bulk(client, {"operation": "delete", "id": po(connection)}, Idempotency_Key="batch"))
    assert other["data"][0]["problem"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    named = ok(bulk(client, {**items[0], "idempotency_key": "batch:7"}))["data"][0]
    assert named["problem"]["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_bulk_when_nobody_works_then_202_tells_where_to_ask(client, connection):
    response = bulk(client, {"operation": "create", "body": NEW}, {"operation": "create", "body": {}}, Prefer="wait=0")
    body = ok(response, 202)
    assert [item["status"] for item in body["data"]] == [202, 422]
    assert response["Location"] == f"{OPERATIONS}?batch={body['batch_id']}"


def test_bulk_when_the_call_itself_is_wrong_then_nothing_is_stored(client, connection):
    good = {"operation": "create", "body": NEW}
    for body, status, pointer in [
        ({}, 422, "/items"),
        ({"items": []}, 422, "/items"),
        ({"items": [good] * 101}, 422, "/items"),
        ({"items": [good, {**good, "colour": 1}]}, 400, "/items/1/colour"),
        ({"items": [good, {"operation": "upsert"}]}, 422, "/items/1/operation"),
        ({"items": [good, {"operation": "update", "body": {}}]}, 422, "/items/1/id"),
        ({"items": [good, {"operation": "action", "id": po(connection)}]}, 422, "/items/1/action"),
        ({"items": [{**good, "id": po(connection)}]}, 422, "/items/0/id"),
        ({"items": [{**good, "body": []}]}, 422, "/items/0/body"),
        ({"items": [{**good, "if_match": 1}]}, 422, "/items/0/if_match"),
    ]:
        response = send(client, "post", f"{ORDERS}/bulk", body, Prefer="wait=0")
        assert response.status_code == status, response.content
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert refused(bulk(client, good, If_Match='"1"')) == (400, "INVALID_HEADER")
    assert refused(bulk(client, good, Idempotency_Key="x" * 253)) == (400, "INVALID_HEADER")
    assert count(connection) == 0
    item = ok(bulk(client, {"operation": "update", "id": po(connection), "body": {}, "if_match": True}))["data"][0]
    assert (item["status"], item["problem"]["errors"][0]["pointer"]) == (400, "/items/0/if_match")
