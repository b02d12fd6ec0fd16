"""The screens of operations, and what they add to those of records, connections and home."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from django_scopes import scopes_disabled

from connections.models import Connection, UpstreamCall
from core import ids
from core.ids import new_id
from syncs.models import Operation, Record
from syncs.operations.copying import record_id_of
from tests.admin_pages import change, html, press, words
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
OPERATIONS = "/admin/syncs/operation/"
BUTTONS = ("retry", "look", "done", "not_done")
REFUSED = {
    "code": "BUSINESS_RULE",
    "category": "business_rule",
    "message": "The order is closed.",
    "who_must_act": "customer",
    "retryable": False,
    "action": "Ask the customer to open it again.",
    "source": {"status": 422, "code": "E-77", "message": "Auftrag <b>geschlossen</b>"},
    "errors": [{"pointer": "/vendor", "code": "REFUSED_BY_STATUS", "detail": "Not once it is closed."}],
}
POST_ORDER = {
    "method": "POST",
    "url": "https://erp.example/orders",
    "body": '{"notes":"Gate 3","price":12.50,"text":"<script>alert(1)</script>"}',
    "headers": {"If-Match": "W/7"},
    "purpose": "Make the order",
    "creates": True,
    "repeatable": False,
}
PUT_LINE = {**POST_ORDER, "method": "PUT", "url": "https://erp.example/orders/{id}/lines", "headers": {}, "body": None}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def plant(workspace: Workspace, erp_server: TestErpServer) -> Connection:
    return connect(erp_server, workspace=workspace, name="Plant North")


@pytest.fixture
def operator(workspace: Workspace) -> Client:
    return signed_in(make_person("operator", workspace))


@pytest.fixture
def auditor(workspace: Workspace) -> Client:
    return signed_in(make_person("auditor", workspace))


def operation_of(connection: Connection, **values: Any) -> Operation:
    """As stored; `ago` is how many seconds ago it was asked for."""
    at = timezone.now() - timedelta(seconds=values.pop("ago", 30))
    facts = {"entity": "purchase_order", "kind": "update", "requested_by": "erp sync service", "due_at": at, **values}
    if facts.get("remote_id"):
        facts.setdefault("record_id", record_id_of(connection.pk, facts["entity"], facts["remote_id"]))
    if facts.get("status") in ("succeeded", "failed", "needs_review"):
        facts.setdefault("done_at", at + timedelta(seconds=12))
    if facts.get("stage") in ("sending", "accepted", "applied"):
        facts = {"first_sent_at": at, "sent_at": at, "attempts": 1, **facts}
    with scopes_disabled():
        return Operation.objects.create(
            workspace_id=connection.workspace_id, connection=connection, created_at=at, **facts
        )


def unknown_create(connection: Connection, **values: Any) -> Operation:
    return operation_of(
        connection,
        **{"kind": "create", "status": "needs_review", "stage": "sending", "calls": [POST_ORDER], **values},
    )


def fresh(operation: Operation) -> Operation:
    with scopes_disabled():
        found: Operation = Operation.objects.get(pk=operation.pk)
    return found


# --- the list ---------------------------------------------------------------------------------------------------------


def test_list_shows_what_failed_who_must_act_and_links(
    plant: Connection, erp_server: TestErpServer, auditor: Client
) -> None:
    erp_server.add_orders(1)
    run_sync(sync_of(plant))
    operation_of(plant, remote_id="1001", status="failed", stage="ended", error=REFUSED, attempts=1)
    operation_of(plant, remote_id="4711", kind="action", action="send_to_vendor", status="succeeded", stage="ended")
    page, shown = html(auditor.get(OPERATIONS)), words(auditor.get(OPERATIONS))

    for text in ("Update purchase order", "Send to vendor (purchase order)", "erp sync service", "API", "12 s"):
        assert text in shown, text
    assert "The order is closed." in shown and "the customer" in shown
    with scopes_disabled():
        assert change(Record.objects.get()) in page
    assert f"/record/{record_id_of(plant.pk, 'purchase_order', '4711')}" not in page, "nothing leads to a 404"
    assert "/press/" not in page and 'name="action"' not in page


def test_list_is_filtered_and_searched_exactly(
    plant: Connection, workspace: Workspace, erp_server: TestErpServer, auditor: Client
) -> None:
    other = connect(erp_server, workspace=workspace, name="Plant South")
    batch = new_id()
    rows = {
        "review": unknown_create(plant, batch_id=batch),
        "failed": operation_of(plant, remote_id="1001", status="failed", stage="ended", error=REFUSED),
        "vendor": operation_of(
            other, entity="vendor", kind="delete", remote_id="7", idempotency_key="order 17/a", status="queued"
        ),
    }

    def found(**query: str) -> list[str]:
        page = html(auditor.get(OPERATIONS, query))
        return [name for name, row in rows.items() if change(row) in page]

    assert found() == ["review", "failed", "vendor"]
    assert found(decision="needed") == found(status__exact="needs_review") == found(kind__exact="create") == ["review"]
    assert found(entity="vendor") == found(connection=str(other.pk)) == found(kind__exact="delete") == ["vendor"]
    assert found(system="test-erp") == ["review", "failed", "vendor"] and found(system="nonsense") == found()
    assert found(batch=str(batch)) == ["review"] and found(batch="nonsense") == []
    record_id = rows["failed"].record_id
    for text in ("1001", str(ids.show("op", rows["failed"].pk)), str(ids.show("po", record_id)), str(record_id)):
        assert found(q=text) == ["failed"], text
    assert found(record=str(record_id)) == found(q=f" {rows['failed'].pk} ") == ["failed"]
    assert found(q="order 17/a") == ["vendor"]
    assert found(q="order 17") == found(q="100") == found(q="%") == found(q=str(uuid4())) == []
    assert found(created_at__year="1999") == []


def test_list_takes_the_same_queries_however_long_and_never_counts(
    plant: Connection, workspace: Workspace, erp_server: TestErpServer, auditor: Client,
    django_assert_max_num_queries: Any, django_assert_num_queries: Any,
) -> None:  # fmt: skip
    def fill(count: int) -> None:
        for number in range(count):
            held = connect(erp_server, workspace=workspace, name=f"Plant {number}")
            operation_of(held, remote_id="1001", status="running", stage="sending")
            operation_of(held, remote_id="1001", ago=20)
            operation_of(held, remote_id="9", status="failed", stage="ended", error=REFUSED)

    fill(2)
    html(auditor.get(OPERATIONS))
    with django_assert_max_num_queries(15) as few:
        html(auditor.get(OPERATIONS, {"_facets": "True"}))
    assert not any("COUNT(" in query["sql"] for query in few.captured_queries)
    (listed,) = [query["sql"] for query in few.captured_queries if '"syncs_operation"."status", ' in query["sql"]]
    assert '"before"' not in listed and '"calls"' not in listed
    fill(8)
    with django_assert_num_queries(len(few)):
        assert words(auditor.get(OPERATIONS, {"_facets": "True"})).count("waits for its turn") == 10


# --- the page of one --------------------------------------------------------------------------------------------------


def test_page_tells_the_whole_story_of_a_refused_update(plant: Connection, auditor: Client) -> None:
    operation = operation_of(
        plant,
        remote_id="1001",
        status="failed",
        stage="ended",
        attempts=1,
        request={"notes": "Gate 3", "vendor": "ven_1"},
        values={"notes": "Gate 3", "vendor": "7"},
        diff=[{"pointer": "/notes", "before": None, "after": "Gate <3>"}, {"pointer": "/lines/0", "after": {"a": 1}}],
        before={"remote_status": "closed"},
        calls=[POST_ORDER, PUT_LINE],
        first_sent_at=timezone.now(),
        error=REFUSED,
        idempotency_key="order 17",
        expected_version=3,
        batch_id=new_id(),
    )
    page, shown = html(auditor.get(change(operation))), words(auditor.get(change(operation)))

    for text in (
        "Update purchase order 1001 of Plant North", "Failed", "The order is closed.", "Who must act: the customer",
        "“Auftrag <b>geschlossen</b>” E-77", "/vendor Not once it is closed.", "/notes — Gate <3>", '"vendor": "ven_1"', '"vendor": "7"',
        "Not done POST https://erp.example/orders", "Make the order", "If-Match: W/7", '"price": 12.50',
        "Not sent PUT https://erp.example/orders/1001/lines", '"remote_status": "closed"', "order 17",
        "erp sync service (API)", "12 s", str(ids.show("op", operation.pk)), "Requests begun 1", "If-Match version 3",
    ):  # fmt: skip
        assert text in shown, text
    assert "<script>alert" not in page and "<b>geschlossen" not in page and "/live/" not in page
    assert f"?record={operation.record_id}" in page and f"?batch={operation.batch_id}" in page
    html(auditor.post(change(operation), {"status": "succeeded"}), 403)
    html(auditor.post(f"{OPERATIONS}{operation.pk}/delete/", {"post": "yes"}), 403)
    html(auditor.get(f"{OPERATIONS}add/"), 403)


def test_page_of_a_success_says_what_was_not_taken_up_and_what_a_delete_did(plant: Connection, auditor: Client) -> None:
    done = {"status": "succeeded", "stage": "ended", "first_sent_at": timezone.now(), "attempts": 1}
    missed = [{"pointer": "/notes", "wished": "Gate 3", "found": None}]
    update = operation_of(plant, remote_id="1", not_applied=missed, calls=[PUT_LINE], call_no=1, **done)
    delete = operation_of(plant, remote_id="2", kind="delete", effect="cancel", calls=[PUT_LINE], call_no=1, **done)
    same = operation_of(plant, remote_id="3", status="succeeded", stage="ended")
    with scopes_disabled():
        UpstreamCall.objects.create(
            workspace_id=plant.workspace_id, connection=plant, operation_id=update.pk, position=1, method="PUT",
            url="https://erp.example", status=200, started_at=timezone.now(), elapsed_ms=1, request_bytes=1,
            response_bytes=1,
        )  # fmt: skip

    shown = words(auditor.get(change(update)))
    assert "1 field was not taken up by the system" in shown and "/notes Gate 3 —" in shown and "Done PUT" in shown
    assert "Upstream calls (1)" in shown and f"?operation={update.pk}" in html(auditor.get(change(update)))
    assert "now cancelled by its status" in words(auditor.get(change(delete)))
    assert "Everything wished was there already, so nothing was sent." in words(auditor.get(change(same)))


STANDINGS: list[tuple[dict[str, Any], str]] = [
    ({"status": "queued", "ago": 1}, "It waits for a worker."),
    ({"status": "queued", "ago": 300}, "is manage.py worker operations running?"),
    ({"status": "queued", "due": 40, "error": REFUSED}, "it is tried again in 3"),
    ({"status": "running", "lease": 40}, "A worker reads the object"),
    ({"status": "running", "lease": 40, "stage": "sending"}, "A worker sends a request"),
    ({"status": "running", "lease": -5, "claims_without_progress": 2}, "was lost; another takes it up by itself (take-up 2 of"),
    ({"status": "unknown", "stage": "sending", "due": 40}, "What became of it is being looked up, next in 3"),
    ({"status": "unknown", "stage": "accepted", "due": 40}, "job did not end in time"),
    ({"status": "awaiting_source", "stage": "accepted", "due": -1}, "it is asked again at once"),
    ({"status": "awaiting_source", "stage": "applied", "due": 40}, "the result is read back in 3"),
    ({"status": "needs_review", "stage": "sending"}, "cannot tell whether it was done"),
    ({"status": "needs_review", "stage": "applied"}, "reading the result back did not succeed"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "told"), STANDINGS, ids=[told for _, told in STANDINGS])
def test_page_derives_how_it_stands(plant: Connection, auditor: Client, values: dict[str, Any], told: str) -> None:
    facts = dict(values)
    if "due" in facts:
        facts["due_at"] = timezone.now() + timedelta(seconds=facts.pop("due"))
    if "lease" in facts:
        facts["lease_until"] = timezone.now() + timedelta(seconds=facts.pop("lease"))
    operation = operation_of(plant, remote_id="1001", calls=[POST_ORDER], **facts)

    assert told in words(auditor.get(change(operation)))
    assert told.split()[0] in words(auditor.get(OPERATIONS))
    live = "/live/" in html(auditor.get(change(operation)))
    assert live == (facts["status"] != "needs_review"), "what a person decides does not move by itself"


def test_page_names_what_it_waits_behind_and_the_circuit(plant: Connection, auditor: Client) -> None:
    first = operation_of(plant, remote_id="1001", status="unknown", stage="sending", ago=60)
    other = operation_of(plant, remote_id="1002", ago=50)
    second = operation_of(plant, remote_id="1001", ago=40)
    with scopes_disabled():
        Connection.objects.filter(pk=plant.pk).update(circuit_open_until=timezone.now() + timedelta(seconds=50))

    page = html(auditor.get(change(second)))
    assert "waits for its turn" in page and change(first) in page
    assert "waits for its turn" not in html(auditor.get(change(other)))
    for operation in (first, other):
        assert "The system does not answer at the moment: no call is made before" in words(
            auditor.get(change(operation))
        )


def test_active_page_asks_again_and_brings_the_story_only_when_it_moved(plant: Connection, auditor: Client) -> None:
    operation = operation_of(plant, remote_id="1001", request={"notes": "Gate 3"})
    first = auditor.get(change(operation))
    live = first.context_data["live_address"]  # type: ignore[attr-defined]

    assert f'hx-get="{live}" hx-trigger="every 2s"' in html(first) and "It is worked out when" in words(first)
    part = html(auditor.get(live))
    assert "<html" not in part and "operation-story" not in part
    with scopes_disabled():
        Operation.objects.filter(pk=operation.pk).update(
            status="succeeded", stage="ended", call_no=1, calls=[PUT_LINE], done_at=timezone.now()
        )
    part = html(auditor.get(live))
    assert 'id="operation-story" hx-swap-oob="true"' in part and "/live/" not in part
    assert "Done PUT https://erp.example/orders/1001/lines" in words(auditor.get(live))


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_failed_operation_is_retried_after_asking(plant: Connection, operator: Client) -> None:
    operation = operation_of(plant, remote_id="1001", status="failed", stage="ended", error=REFUSED, attempts=1)

    page = html(operator.get(change(operation)))
    assert press(operation, "retry") in page and press(operation, "done") not in page
    question = words(operator.get(press(operation, "retry")))
    assert "Try again: Update purchase order?" in question and "Yes, retry" in question
    assert fresh(operation).status == "failed"
    told = words(operator.post(press(operation, "retry"), follow=True))
    assert "It is queued again" in told and "Tried again by person" in told
    stored = fresh(operation)
    assert (stored.status, stored.error, stored.attempts) == ("queued", None, 0)
    refused = words(operator.post(press(operation, "retry"), follow=True))
    assert "Only what failed can be tried again; this operation is queued." in refused


def test_unknown_outcome_is_looked_up_again(plant: Connection, operator: Client) -> None:
    operation = unknown_create(plant)
    waiting = operation_of(
        plant, status="awaiting_source", stage="accepted", due_at=timezone.now() + timedelta(hours=1)
    )

    assert "only reads" in words(operator.get(press(operation, "look")))
    assert "It is looked up within a second" in words(operator.post(press(operation, "look"), follow=True))
    assert fresh(operation).status == "unknown" and fresh(operation).done_at is None
    assert press(waiting, "look") in html(operator.get(change(waiting)))
    operator.post(press(waiting, "look"))
    assert fresh(waiting).due_at <= timezone.now()
    done = operation_of(plant, status="succeeded", stage="ended")
    assert "There is nothing to look up" in words(operator.post(press(done, "look"), follow=True))


def test_candidate_is_chosen_read_and_becomes_the_outcome(
    plant: Connection, erp_server: TestErpServer, operator: Client
) -> None:
    erp_server.add_orders(2)
    run_sync(sync_of(plant))
    erp_server.add_orders(1, first=1003)
    candidates = [
        {"remote_id": "1002", "why": "It carries the mark."},
        {"remote_id": "1003", "name": "PO-1003", "why": ""},
    ]
    operation = unknown_create(plant, candidates=candidates)

    page = html(operator.get(change(operation)))
    with scopes_disabled():
        assert change(Record.objects.get(remote_id="1002")) in page
    assert str(record_id_of(plant.pk, "purchase_order", "1003")) not in page, "nothing leads to a 404"
    choose = f"{press(operation, 'done')}?remote_id=1003"
    assert f'href="{choose}"' in page and page.count("This is it") == 2
    assert 'name="remote_id" value="1003"' in html(operator.get(choose))
    told = words(operator.post(choose, {"remote_id": "1003"}, follow=True))
    assert "It counts as done now; its object is 1003." in told and "Decided by person" in told
    stored = fresh(operation)
    assert (stored.status, stored.remote_id) == ("succeeded", "1003")
    with scopes_disabled():
        assert stored.record_id and Record.objects.get(pk=stored.record_id).remote_id == "1003"
    assert "There is nothing to resolve" in words(operator.post(choose, {"remote_id": "1003"}, follow=True))


def test_refused_object_leads_back_to_the_question_with_what_was_typed(
    plant: Connection, erp_server: TestErpServer, operator: Client
) -> None:
    operation = unknown_create(plant)
    address = press(operation, "done")

    for typed, told in (
        ("", "Say which object it made"),
        ("9999", "The system has no object '9999'."),
        ("x" * 600, "This is no id of the system."),
        ("9\x009", "This is no id of the system."),
    ):
        shown = operator.post(address, {"remote_id": typed}, follow=True)
        assert told in words(shown) and shown.redirect_chain[-1][0].startswith(f"{address}?remote_id="), typed
    erp_server.fail("http_503")
    assert "Was it done?" in words(operator.post(address, {"remote_id": "1001"}, follow=True))
    assert fresh(operation).status == "needs_review"


def test_delete_that_was_done_buries_the_record(plant: Connection, erp_server: TestErpServer, operator: Client) -> None:
    erp_server.add_orders(1)
    run_sync(sync_of(plant))
    operation = operation_of(plant, kind="delete", remote_id="1001", status="unknown", stage="sending")
    erp_server.delete("orders", "1001")

    question = html(operator.get(press(operation, "done")))
    assert "its record is marked as deleted" in question and 'name="remote_id"' not in question
    assert "It counts as done now" in words(operator.post(press(operation, "done"), follow=True))
    assert fresh(operation).status == "succeeded"
    with scopes_disabled():
        assert Record.objects.get().deleted_at is not None


def test_what_was_not_done_counts_as_failed_and_can_be_retried(plant: Connection, operator: Client) -> None:
    operation = unknown_create(plant)

    assert "Look in “Plant North” first" in words(operator.get(press(operation, "not_done")))
    assert "It counts as failed now" in words(operator.post(press(operation, "not_done"), follow=True))
    stored = fresh(operation)
    assert stored.status == "failed" and stored.resolved_by.startswith("person") and stored.error["code"] == "NOT_DONE"
    assert "A person found that it was not done." in words(operator.get(change(operation)))
    assert "nothing to resolve" in words(operator.post(press(operation, "not_done"), follow=True))
    operator.post(press(operation, "retry"))
    assert fresh(operation).status == "queued"


def test_auditor_presses_nothing(plant: Connection, auditor: Client) -> None:
    operation = unknown_create(plant, candidates=[{"remote_id": "1", "why": ""}])

    page = html(auditor.get(change(operation)))
    assert "/press/" not in page and "Objects of the system that it may have made" in page
    for name in BUTTONS:
        html(auditor.get(press(operation, name)), 403)
        html(auditor.post(press(operation, name), {"remote_id": "1"}), 403)
    assert fresh(operation).status == "needs_review"


def test_buttons_need_the_csrf_token(plant: Connection, workspace: Workspace) -> None:
    operation = unknown_create(plant)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_person("owner", workspace))

    assert strict.post(press(operation, "not_done")).status_code == 403
    assert fresh(operation).status == "needs_review"


def test_member_of_another_workspace_finds_nothing(plant: Connection) -> None:
    operation = unknown_create(plant)
    client = signed_in(make_person("owner", make_workspace("Own")))

    assert str(operation.pk) not in html(client.get(OPERATIONS))
    assert str(operation.pk) not in html(client.get(OPERATIONS, {"connection": str(plant.pk)}))
    html(client.get(change(operation)), 404)
    html(client.get(f"{OPERATIONS}{operation.pk}/live/"), 404)
    for name in BUTTONS:
        html(client.get(press(operation, name)), 404)
        html(client.post(press(operation, name), {"remote_id": "1"}), 404)
    assert fresh(operation).status == "needs_review"


# --- on other screens -------------------------------------------------------------------------------------------------


def test_record_page_shows_its_operations_and_reads_it_again(
    plant: Connection, erp_server: TestErpServer, operator: Client, auditor: Client
) -> None:
    erp_server.add_orders(1)
    run_sync(sync_of(plant))
    with scopes_disabled():
        record = Record.objects.get()
    operation = operation_of(plant, remote_id="1001", status="failed", stage="ended", error=REFUSED)
    other = operation_of(plant, remote_id="1002")

    page = html(auditor.get(change(record)))
    assert change(operation) in page and change(other) not in page and "/press/" not in page
    html(auditor.post(press(record, "refresh")), 403)
    assert "nothing has changed" in words(operator.post(press(record, "refresh"), follow=True))
    erp_server.change("orders", "1001", notes="At gate 9.")
    told = words(operator.post(press(record, "refresh"), follow=True))
    assert "the copy is at version 2 now" in told and "At gate 9." in told
    erp_server.fail("http_403", times=1)
    assert "may not do that" in words(operator.post(press(record, "refresh"), follow=True))
    erp_server.delete("orders", "1001")
    assert "no longer has it" in words(operator.post(press(record, "refresh"), follow=True))
    erp_server.add_orders(1)
    assert "has it again" in words(operator.post(press(record, "refresh"), follow=True))
    with scopes_disabled():
        Connection.objects.filter(pk=plant.pk).update(health="disconnected")
    assert press(record, "refresh") not in html(operator.get(change(record)))


def test_connection_page_shows_the_latest_operations_and_the_days_counts(
    plant: Connection, auditor: Client, django_assert_num_queries: Any
) -> None:
    assert "nothing was written to this system" in words(auditor.get(change(plant)))
    for number in range(12):
        operation_of(plant, remote_id=str(number), status="succeeded", stage="ended", ago=100 + number)
    operation_of(plant, remote_id="x", status="failed", stage="ended", error=REFUSED, ago=2 * 86_400)
    newest = unknown_create(plant, ago=1)
    page, shown = html(auditor.get(change(plant))), words(auditor.get(change(plant)))

    assert change(newest) in page and page.count("/admin/syncs/operation/0") == 10
    assert "12 succeeded" in shown and "1 needs review" in shown and "1 failed" not in shown
    assert f"/admin/syncs/operation/?connection={plant.pk}" in page


def test_home_counts_the_decisions_and_names_the_worker_that_is_missing(
    plant: Connection, erp_server: TestErpServer, auditor: Client
) -> None:
    unknown_create(connect(erp_server, name="Hidden plant"))
    assert "a decision" not in words(auditor.get("/admin/"))
    unknown_create(plant)
    unknown_create(plant)

    page = html(auditor.get("/admin/status/"))
    assert "2 operations need a decision" in words(auditor.get("/admin/")) and "?decision=needed" in page
    assert "worker operations" not in page
    operation_of(plant, ago=300)
    assert "manage.py worker operations" in words(auditor.get("/admin/status/"))
