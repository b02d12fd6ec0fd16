"""Writes over the API: what each outcome is answered with, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection
from core.waiting import Places
from syncs.api import waiting
from syncs.models import Sync
from tests.connectors import connect, erp_server  # noqa: F401
from tests.syncing import copy_of, run_sync, sync_of
from tests.tenants import api, make_token
from tests.writes_stage import (  # noqa: F401
    NEW,
    OPERATIONS,
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


# --- outcomes ---------------------------------------------------------------------------------------------------------


@working
def test_create_when_all_is_well_then_201_with_the_record_as_a_get_gives_it(client, connection, erp_server):
    response = send(client, "post", ORDERS, NEW, Prefer="wait=20")

    body = ok(response, 201)
    operation, record = body["operation"], body["record"]
    assert (operation["kind"], operation["status"], operation["not_applied"]) == ("create", "succeeded", [])
    assert response["Location"] == f"{ORDERS}/{record['id']}" and response["X-Operation-Id"] == operation["id"]
    assert response["Preference-Applied"] == "wait=20" and "Idempotency-Replayed" not in response
    seen = client.get(response["Location"])
    assert seen.json() == record and seen["ETag"] == response["ETag"] == '"1"'
    assert (record["notes"], record["lines"][0]["quantity"], record["remote_id"]) == ("Gate 3", "8", "3")
    assert writes_to(erp_server) == ["POST /orders"]
    detail = ok(client.get(f"{OPERATIONS}/{operation['id']}"))
    (call,) = detail["calls"]
    assert (call["method"], call["url"]) == ("POST", f"{erp_server.base_url}/orders")
    assert call["body"]["vendor_id"] == "7" and call["body"]["external_ref"].startswith("lsh-")
    assert "correct-horse" not in str(detail)
    calls = ok(client.get(operation["links"]["upstream_calls"]))["data"]
    assert [made["method"] for made in calls] == ["GET", "POST"], "newest first"


@working
def test_update_when_all_is_well_then_200_and_lines_are_matched_by_id(client, connection, erp_server):
    lines = [{"id": "1-1", "quantity": "9"}, {"quantity": 1, "unit": "EA"}]
    response = send(
        client, "patch", one(connection), {"notes": None, "lines": lines}, Content_Type="application/merge-patch+json",
        If_Match='"1"',
    )  # fmt: skip

    body = ok(response)
    assert (body["record"]["notes"], body["record"]["version"], response["ETag"]) == (None, 2, '"2"')
    assert [line["quantity"] for line in body["record"]["lines"]] == ["9", "2.5", "1"]
    pointers = {change["pointer"] for change in body["operation"]["diff"]}
    assert pointers == {"/notes", "/lines/0/quantity", "/lines/1"}
    assert "Location" not in response and "Preference-Applied" not in response


@working
def test_update_when_nothing_differs_then_nothing_is_sent(client, connection, erp_server):
    body = ok(send(client, "patch", one(connection), {"notes": "Deliver to gate 3."}))
    assert body["operation"]["status"] == "succeeded" and body["operation"]["sent_at"] is None
    assert writes_to(erp_server) == []


@working
def test_update_when_a_line_is_added_that_looks_like_another_then_it_is_sent(client, connection, erp_server):
    line = {"description": "Mechanical seal", "quantity": "8", "unit": "EA"}
    body = ok(send(client, "patch", one(connection), {"lines": [line]}))
    assert body["operation"]["diff"] == [{"pointer": "/lines/0", "before": None, "after": line}]
    assert len(body["record"]["lines"]) == 3


@working
def test_update_when_a_field_is_dropped_then_it_is_told(client, connection, erp_server):
    erp_server.ignores = ("notes",)
    body = ok(send(client, "patch", one(connection), {"notes": "Gate 9", "description": "Seals"}))
    (missed,) = body["operation"]["not_applied"]
    assert missed == {"pointer": "/notes", "wished": "Gate 9", "found": "Deliver to gate 3."}
    assert body["record"]["description"] == "Seals"


@working
def test_delete_when_the_system_cancels_then_it_says_so_and_the_record_stays(client, connection):
    body = ok(send(client, "delete", one(connection)))
    assert body["operation"]["effect"] == "cancel" and body["record"]["status"] == "cancelled"


@working
def test_action_when_it_is_done_then_the_record_shows_it(client, connection, erp_server):
    erp_server.change("orders", "1", status="draft")
    body = ok(send(client, "post", f"{one(connection)}/actions/approve", {"note": "Fine"}), 422)
    assert body["code"] == "REFUSED_BY_STATUS", "the copy says that it is open"
    run_sync(sync_of(connection))
    body = ok(send(client, "post", f"{one(connection)}/actions/approve", {"note": "Fine"}))
    assert (body["operation"]["action"], body["record"]["status"]) == ("approve", "ordered")
    (sent,) = [call for call in erp_server.calls if call.method == "POST"]
    assert sent.body == {"note": "Fine"}
    assert refused(send(client, "post", f"{one(connection)}/actions/shred")) == (422, "OPERATION_NOT_SUPPORTED")


@working
def test_write_when_the_system_refuses_then_the_problem_carries_its_words(client, connection, erp_server):
    erp_server.fail("http_403", on="/orders/1", times=1, skip=1)
    response = send(client, "patch", one(connection), {"notes": "Gate 9"})

    assert refused(response) == (424, "PERMISSION_DENIED"), "the caller's token is not at fault"
    body = response.json()
    assert body["source"] == {"status": 403, "code": None, "message": "Not for this role."}
    assert (body["operation"]["status"], body["record"]["notes"]) == ("failed", "Deliver to gate 3.")
    assert body["who_must_act"] == "customer" and response["X-Operation-Id"] == body["operation"]["id"]


@working
def test_write_when_the_object_is_gone_then_404_and_the_copy_says_so(client, connection, erp_server):
    erp_server.delete("orders", "1")
    response = send(client, "patch", one(connection), {"notes": "Gate 9"})
    assert refused(response) == (404, "NOT_FOUND") and response.json()["record"] is None
    assert client.get(one(connection)).status_code == 404


@working
def test_create_when_the_answer_is_lost_then_it_is_found_and_not_made_twice(client, connection, erp_server):
    erp_server.fail("truncated", on="/orders", times=1)
    body = ok(send(client, "post", ORDERS, NEW, Prefer="wait=30"), 201)
    assert body["record"]["notes"] == "Gate 3" and writes_to(erp_server) == ["POST /orders"]


def test_write_when_it_takes_longer_than_the_wait_then_202_tells_where_to_ask(client, connection):
    response = send(client, "post", ORDERS, NEW, Prefer="wait=0")

    body = ok(response, 202)
    assert body["record"] is None and (body["operation"]["status"], body["operation"]["stage"]) == ("queued", "planned")
    assert response["Location"] == f"{OPERATIONS}/{body['operation']['id']}" and response["Retry-After"] == "1"
    assert response["Preference-Applied"] == "wait=0"
    detail = ok(client.get(response["Location"]))
    assert detail == {**body["operation"], "calls": []}
    listed = ok(client.get(OPERATIONS, {"status": "queued", "kind": "create", "entity": "purchase_order"}))
    assert listed["data"] == [body["operation"]] and listed["next_cursor"] is None


def test_wait_when_no_place_is_free_then_202_at_once(client, connection, monkeypatch):
    taken = Places()
    while taken.acquire():
        pass
    monkeypatch.setattr(waiting, "places", lambda: taken)
    response = send(client, "post", ORDERS, NEW, Prefer="wait=30")
    assert response.status_code == 202 and "Preference-Applied" not in response
    answer = send(client, "post", f"{ORDERS}?dry_run=true", NEW)
    assert refused(answer) == (429, "TOO_MANY_AT_ONCE") and answer["Retry-After"] == "1"


def test_prefer_when_it_cannot_be_read_then_400_and_nothing_is_stored(client, connection):
    for prefer in ("wait=1.5", "wait=-1", "wait=soon", "wait", "wait=", 'wait="1 0"', "wait=\x01", "=5"):
        assert refused(send(client, "post", ORDERS, NEW, Prefer=prefer)) == (400, "INVALID_HEADER"), prefer
    assert count(connection) == 0


def test_prefer_when_it_holds_more_then_the_wait_is_found(client):
    for prefer in ("respond-async", 'return=minimal, wait="0"', "WAIT=0; x=1, wait=9", "handling=lenient,,wait=00"):
        response = send(client, "post", ORDERS, NEW, Prefer=prefer)
        assert (response.status_code, response["Preference-Applied"]) == (202, "wait=0"), prefer


# --- dry run ----------------------------------------------------------------------------------------------------------


def test_dry_run_then_the_exact_request_is_shown_and_nothing_is_sent(client, connection, erp_server):
    body = ok(send(client, "patch", f"{one(connection)}?dry_run=true", {"notes": "Gate 9", "currency": "EUR"}))
    assert body["diff"] == [{"pointer": "/notes", "before": "Deliver to gate 3.", "after": "Gate 9"}]
    (call,) = body["calls"]
    assert call == {
        "method": "PATCH",
        "url": f"{erp_server.base_url}/orders/1",
        "headers": {},
        "body": {"notes": "Gate 9", "currency": "EUR"},
        "purpose": "update the purchase order",
    }
    assert (body["dry_run"], body["effect"]) == (True, None)
    assert [call.method for call in erp_server.calls] == ["GET"] and count(connection) == 0


def test_dry_run_of_the_others(client, connection, erp_server):
    created = ok(send(client, "post", f"{ORDERS}?dry_run=true", NEW))
    assert created["calls"][0]["method"] == "POST" and created["diff"][0]["before"] is None
    deleted = ok(send(client, "delete", f"{one(connection)}?dry_run=true"))
    assert (deleted["effect"], deleted["calls"][0]["method"], deleted["calls"][0]["body"]) == ("cancel", "DELETE", None)
    same = ok(send(client, "patch", f"{one(connection)}?dry_run=true", {"currency": "EUR"}))
    assert same["calls"] == [] and same["diff"] == []
    erp_server.fail("http_500")
    assert refused(send(client, "patch", f"{one(connection)}?dry_run=true", {"notes": "x"})) == (
        503,
        "UPSTREAM_UNAVAILABLE",
    )
    assert refused(send(client, "patch", f"{one(connection)}?dry_run=yes", {})) == (400, "INVALID_PARAMETER")
    assert writes_to(erp_server) == [] and count(connection) == 0


# --- refusals ---------------------------------------------------------------------------------------------------------


WRONG: list[tuple[Any, int, str, str | None]] = [
    ({"notes": "x"}, 422, "VALIDATION_FAILED", "/vendor"),
    ({**NEW, "colour": "red"}, 400, "UNKNOWN_FIELD", "/colour"),
    ({**NEW, "number": "PO-1"}, 422, "VALIDATION_FAILED", "/number"),
    ({**NEW, "lines": [{"quantity": "many"}]}, 422, "VALIDATION_FAILED", "/lines/0/quantity"),
    ({**NEW, "vendor": f"ven_{'0' * 32}"}, 422, "VALIDATION_FAILED", "/vendor"),
    (b"[]", 400, "INVALID_BODY", None),
    (b'"text"', 400, "INVALID_BODY", None),
    (b'{"vendor": "7", "vendor": "8"}', 400, "INVALID_JSON", None),
    (b'{"notes": "\\u0000"}', 400, "INVALID_JSON", "/notes"),
    (b'{"notes": "\\ud800"}', 400, "INVALID_JSON", "/notes"),
    (b"[" * 5000, 400, "INVALID_JSON", None),
    (b'{"vendor": NaN}', 400, "INVALID_JSON", None),
]


def test_body_when_it_is_wrong_then_it_is_named_and_nothing_is_stored(client, connection, erp_server):
    for body, status, code, pointer in WRONG:
        response = send(client, "post", ORDERS, body)
        assert refused(response) == (status, code), response.content
        assert pointer is None or [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert count(connection) == 0 and erp_server.calls == []


def test_write_when_the_status_forbids_it_then_the_reason_is_told_without_a_call(client, connection, erp_server):
    erp_server.change("orders", "1", status="received")
    run_sync(sync_of(connection))
    erp_server.forget_calls()
    response = send(client, "delete", one(connection))
    body = response.json()
    assert refused(response) == (422, "REFUSED_BY_STATUS")
    assert (body["reason"], body["remote_status"]) == ("status", "received") and erp_server.calls == []


def test_write_when_the_account_may_not_then_422_and_not_403(client, connection):
    change(connection, probed={"purchase_order": {"update": False}})
    response = send(client, "patch", one(connection), {"notes": "x"})
    assert refused(response) == (422, "PERMISSION_DENIED")
    assert (response.json()["reason"], response.json()["who_must_act"]) == ("permission", "customer")


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"health": ConnectionStatus.NEEDS_REAUTH}, 424),
        ({"health": ConnectionStatus.DISCONNECTED}, 409),
        ({"health": ConnectionStatus.OFFLINE}, 202),
        ({"paused": True}, 202),
    ],
    ids=str,
)
def test_write_when_the_connection_is_away_then_it_says_so_but_pausing_stops_syncs_only(
    client, connection, values, status
):
    change(connection, **values)
    assert send(client, "post", ORDERS, NEW, Prefer="wait=0").status_code == status


def change(connection: Connection, **values: Any) -> None:
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(**values)


def test_write_when_the_entity_is_not_shared_or_not_there_then_422(client, connection):
    with scope(workspace=connection.workspace_id):
        Sync.objects.filter(connection=connection, entity="purchase_order").update(enabled=False)
    assert refused(send(client, "post", ORDERS, NEW)) == (422, "ENTITY_NOT_SHARED")
    assert refused(send(client, "post", "/api/v1/assets", {"name": "x"})) == (422, "OPERATION_NOT_SUPPORTED")
    assert refused(send(client, "post", f"{ORDERS}/bulk", {"items": [{"operation": "create", "body": NEW}]}))[0] == 422


def test_write_when_the_token_or_the_id_is_not_right_then_it_is_refused(client, connection, erp_server):
    reader = client_of(connection, Scope.RECORDS_READ)
    for method, path in (("post", ORDERS), ("patch", one(connection)), ("delete", one(connection))):
        assert refused(send(reader, method, path, NEW)) == (403, "MISSING_SCOPE")
    assert refused(reader.get(OPERATIONS)) == (403, "MISSING_SCOPE")
    assert refused(send(client, "patch", f"{ORDERS}/1", {})) == (404, "NOT_FOUND")
    assert refused(send(client, "put", one(connection), {})) == (405, "METHOD_NOT_ALLOWED")
    assert refused(send(client, "post", f"{ORDERS}?force=true", NEW)) == (400, "UNKNOWN_PARAMETER")
    other = connect(erp_server)
    assert refused(send(client_of(other), "patch", one(connection), {"notes": "x"})) == (404, "NOT_FOUND")
    workspace_token = api(make_token(connection.workspace, scopes=[Scope.RECORDS_WRITE])[1])
    assert refused(send(workspace_token, "post", ORDERS, NEW)) == (400, "CONNECTION_REQUIRED")
    named = {"X_Connection_Id": f"con_{connection.pk.hex}", "Prefer": "wait=0"}
    assert send(workspace_token, "post", ORDERS, NEW, **named).status_code == 202
    assert count(connection) == 1


# --- reading again ----------------------------------------------------------------------------------------------------


def test_refresh_then_the_record_is_as_the_system_has_it(connection, erp_server):
    client = client_of(connection, Scope.RECORDS_READ)
    erp_server.change("orders", "1", notes="New")
    response = send(client, "post", f"{one(connection)}/refresh")
    assert ok(response)["notes"] == "New" and response["ETag"] == '"2"'
    assert response.json() == ok(client.get(one(connection)))


def test_refresh_when_it_is_gone_then_404_and_a_tombstone(connection, erp_server):
    client = client_of(connection, Scope.RECORDS_READ)
    erp_server.delete("orders", "1")
    assert refused(send(client, "post", f"{one(connection)}/refresh")) == (404, "NOT_FOUND")
    assert copy_of(sync_of(connection)).deleted == {"1"}
    assert refused(send(client, "post", f"{one(connection, '77')}/refresh")) == (404, "NOT_FOUND")
    assert refused(send(client, "post", f"{one(connection, '2')}/refresh", {"x": 1})) == (400, "INVALID_BODY")
    erp_server.fail("http_500")
    assert refused(send(client, "post", f"{one(connection, '2')}/refresh"))[0] == 503


def test_refresh_when_the_connection_is_away_then_it_says_so(connection, erp_server):
    client = client_of(connection, Scope.RECORDS_READ)
    change(connection, health=ConnectionStatus.NEEDS_REAUTH)
    assert refused(send(client, "post", f"{one(connection)}/refresh")) == (424, "NEEDS_REAUTH")
    change(connection, health=ConnectionStatus.DISCONNECTED)
    assert refused(send(client, "post", f"{one(connection)}/refresh")) == (409, "CONNECTION_NOT_ACTIVE")
    assert erp_server.calls == []
