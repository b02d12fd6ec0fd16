"""Operations over the API: listed, tried again, and resolved by a person."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from connections.models import Connection
from tests.connectors import TestErpServer, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.writes_stage import (  # noqa: F401
    NEW,
    OPERATIONS,
    ORDERS,
    client,
    client_of,
    connection,
    ok,
    one,
    po,
    refused,
    send,
    working,
)
from tests.writing import worker, writing_erp  # noqa: F401
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]


def op(operation: dict[str, Any], rest: str = "") -> str:
    return f"{OPERATIONS}/{operation['id']}{rest}"


@working
def test_retry_when_it_failed_then_it_is_done_now(client, connection, erp_server):
    erp_server.fail("http_403", on="/orders/1", times=1, skip=1)
    failed = send(client, "patch", one(connection), {"notes": "x"}).json()["operation"]
    done = ok(send(client, "post", op(failed, "/retry"), Prefer="wait=20"))
    assert (done["id"], done["status"], done["error"]) == (failed["id"], "succeeded", None)
    assert done["calls"][0]["body"] == {"notes": "x"}
    assert refused(send(client, "post", op(failed, "/retry"))) == (409, "NOT_RETRYABLE")
    assert refused(send(client, "post", op(failed, "/retry"), {"x": 1})) == (400, "UNKNOWN_FIELD")
    writer = client_of(connection, Scope.RECORDS_WRITE)
    assert refused(send(writer, "post", op(failed, "/retry"))) == (403, "MISSING_SCOPE")
    assert ok(writer.get(op(failed)))["status"] == "succeeded", "who writes may see what became of it"


@pytest.fixture
def unsure(client: Client, connection: Connection, erp_server: TestErpServer, worker: None) -> dict[str, Any]:
    """A vendor was made, the answer was lost, and the system cannot be searched for it."""
    run_sync(sync_of(connection, "vendor"))
    erp_server.fail("truncated", on="/vendors", times=1)
    response = send(client, "post", "/api/v1/vendors", {"name": "Nordring"}, Prefer="wait=30")
    body = ok(response, 202)
    assert body["operation"]["status"] == "needs_review" and "Retry-After" not in response
    return body["operation"]


def test_resolve_when_it_was_done_then_the_object_becomes_the_outcome(client, connection, erp_server, unsure):
    (candidate,) = unsure["candidates"]
    assert candidate["remote_id"] in erp_server.vendors and unsure["error"]["code"] == "OUTCOME_UNKNOWN"
    assert refused(send(client, "post", op(unsure, "/resolve"), {"outcome": "done"})) == (422, "VALIDATION_FAILED")
    answer = send(client, "post", op(unsure, "/resolve"), {"outcome": "done", "remote_id": "nobody"})
    assert (refused(answer)[0], answer.json()["errors"][0]["pointer"]) == (422, "/remote_id")
    body = {"outcome": "done", "remote_id": candidate["remote_id"]}
    done = ok(send(client, "post", op(unsure, "/resolve"), body))
    assert done["status"] == "succeeded" and done["resolved_by"].startswith("token tok_")
    assert ok(client.get(f"/api/v1/vendors/{done['record_id']}"))["name"] == "Nordring"
    assert refused(send(client, "post", op(unsure, "/resolve"), body)) == (409, "NOT_UNKNOWN")


def test_resolve_when_it_was_not_done_then_it_has_failed_and_may_be_tried_again(client, erp_server, unsure):
    erp_server.delete("vendors", unsure["candidates"][0]["remote_id"])
    again = ok(send(client, "post", op(unsure, "/resolve"), {"outcome": "look_again"}, Prefer="wait=20"), 202)
    assert again["status"] == "needs_review" and again["candidates"] == []
    body = {"outcome": "not_done", "remote_id": "1"}
    assert refused(send(client, "post", op(unsure, "/resolve"), body)) == (422, "VALIDATION_FAILED")
    assert refused(send(client, "post", op(unsure, "/resolve"), {"outcome": "maybe"}))[0] == 422
    failed = ok(send(client, "post", op(unsure, "/resolve"), {"outcome": "not_done"}))
    assert (failed["status"], failed["error"]["code"]) == ("failed", "NOT_DONE")
    assert ok(send(client, "post", op(unsure, "/retry"), Prefer="wait=20"))["status"] == "succeeded"
    assert len(erp_server.vendors) == 1


def test_operations_when_listed_then_newest_first_page_by_page(client, connection):
    made = [ok(send(client, "post", ORDERS, NEW, Prefer="wait=0"), 202)["operation"]["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = ok(client.get(OPERATIONS, {"limit": 2, **({"cursor": cursor} if cursor else {})}))
        seen += [operation["id"] for operation in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    for name, value in (("status", "done"), ("kind", "upsert"), ("record", "po_1"), ("batch", "x"), ("entity", "x")):
        assert refused(client.get(OPERATIONS, {name: value})) == (400, "INVALID_PARAMETER"), name
    assert ok(client.get(OPERATIONS, {"status": "failed"}))["data"] == []
    assert ok(client.get(OPERATIONS, {"record": po(connection)}))["data"] == []
    assert refused(client.get(f"{OPERATIONS}/op_{'0' * 32}")) == (404, "NOT_FOUND")
    assert refused(client.get(f"{OPERATIONS}/{made[0][3:]}")) == (404, "NOT_FOUND")
