"""Writes over the API that are done only once, and only on the version that was seen: idempotency keys and `If-Match`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as database

from tests.connectors import erp_server  # noqa: F401
from tests.writes_stage import (  # noqa: F401
    NEW,
    ORDERS,
    client,
    client_of,
    connection,
    count,
    ok,
    one,
    refused,
    send,
    working,
    writes_to,
)
from tests.writing import worker, writing_erp  # noqa: F401
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp")]


# --- idempotency ------------------------------------------------------------------------------------------------------


@working
def test_key_when_it_is_sent_again_then_the_same_operation_answers(client, connection, erp_server):
    first = send(client, "post", ORDERS, NEW, Idempotency_Key="k-1")
    other = client_of(connection, Scope.RECORDS_WRITE)
    again = send(other, "post", ORDERS, NEW, Idempotency_Key="k-1")

    assert ok(first, 201) == ok(again, 201), "another token of the same connection"
    assert again["Idempotency-Replayed"] == "true" and again["Location"] == first["Location"]
    assert refused(send(client, "post", ORDERS, {**NEW, "notes": "x"}, Idempotency_Key="k-1")) == (
        422,
        "IDEMPOTENCY_KEY_REUSED",
    )
    assert refused(send(client, "patch", one(connection), NEW, Idempotency_Key="k-1"))[0] == 422
    assert writes_to(erp_server) == ["POST /orders"] and count(connection) == 1


@working
def test_key_when_its_operation_failed_then_the_same_problem_comes_again(client, connection, erp_server):
    erp_server.fail("http_403", on="/orders/1", times=1, skip=1)
    first = send(client, "patch", one(connection), {"notes": "x"}, Idempotency_Key="k-2")
    again = send(client, "patch", one(connection), {"notes": "x"}, Idempotency_Key="k-2")
    told = [{name: value for name, value in r.json().items() if name != "request_id"} for r in (first, again)]
    assert refused(again)[0] == 424 and told[0] == told[1]
    assert again["Idempotency-Replayed"] == "true"


@working
def test_key_when_fifty_send_it_at_once_then_one_object_is_made(connection, erp_server):
    clients = [client_of(connection) for _ in range(10)]

    def ask(number: int) -> tuple[int, str]:
        try:
            response = send(clients[number % 10], "post", ORDERS, NEW, Idempotency_Key="once", Prefer="wait=20")
            return response.status_code, response["X-Operation-Id"]
        finally:
            database.close()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert {status for status, _ in answers} <= {201, 202}
    assert len({operation for _, operation in answers}) == 1
    last = send(clients[0], "post", ORDERS, NEW, Idempotency_Key="once", Prefer="wait=20")
    assert ok(last, 201)["operation"]["id"] == answers[0][1]
    assert writes_to(erp_server) == ["POST /orders"] and len(erp_server.orders) == 3


def test_key_when_it_is_malformed_then_400(client, connection):
    for key in ("", "a b", "\u00fc", "x" * 256, "tab\there"):
        assert refused(send(client, "post", ORDERS, NEW, Idempotency_Key=key)) == (400, "INVALID_HEADER"), key
    assert count(connection) == 0


def test_key_when_the_request_was_refused_then_it_is_free_still(client, connection):
    assert refused(send(client, "post", ORDERS, {"notes": 5}, Idempotency_Key="k")) == (422, "VALIDATION_FAILED")
    assert send(client, "post", ORDERS, NEW, Idempotency_Key="k", Prefer="wait=0").status_code == 202


# --- versions ---------------------------------------------------------------------------------------------------------


def test_if_match_when_the_version_is_another_then_412_with_the_record(client, connection):
    response = send(client, "patch", one(connection), {"notes": "x"}, If_Match='"7"')
    assert refused(response) == (412, "VERSION_CONFLICT") and count(connection) == 0
    assert response.json()["record"] == ok(client.get(one(connection)))


@working
def test_if_match_when_it_changed_upstream_then_412_with_the_record_as_it_is_now(client, connection, erp_server):
    erp_server.change("orders", "1", notes="Somebody else's")
    response = send(client, "patch", one(connection), {"description": "x"}, If_Match='"1"')
    assert refused(response) == (412, "VERSION_CONFLICT") and writes_to(erp_server) == []
    body = response.json()
    assert (body["record"]["notes"], body["record"]["version"]) == ("Somebody else's", 2)
    assert body["operation"]["status"] == "failed" and response["ETag"] == '"2"'


def test_if_match_when_it_is_no_one_strong_tag_then_400(client, connection):
    for tag in ('W/"1"', "1", '"1", "2"', '""', '"one"', '"1", ""'):
        response = send(client, "patch", one(connection), {"notes": "x"}, If_Match=tag)
        assert refused(response) == (400, "INVALID_HEADER"), tag


def test_if_match_when_it_is_a_star_then_the_record_must_exist(client, connection):
    assert send(client, "patch", one(connection), {"notes": "x"}, If_Match="*", Prefer="wait=0").status_code == 202
    assert refused(send(client, "patch", one(connection, "99"), {}, If_Match="*")) == (404, "NOT_FOUND")
    assert refused(send(client, "post", ORDERS, NEW, If_Match="*")) == (400, "INVALID_HEADER")
