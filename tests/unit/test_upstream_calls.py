"""The log of calls to systems: what is kept of a body, whose calls are written down, who may see them, and for how long."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection, UpstreamCall
from connections.services import CallLog, forget_old_calls, open_connector
from core.errors import LineshaftError
from core.http import CallRecord, Door, Request, connection_policy
from core.http.contents import KEPT_BYTES, SHOWN_CHARACTERS, content_of
from core.http.redaction import NO_SECRETS, Redaction
from core.ids import new_id
from tests.admin_pages import change, html, words
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.documents import code_of
from tests.http_peer import always, message, peer
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_person, make_token, signed_in
from workspaces.choices import Scope

pytestmark = pytest.mark.django_db
CALLS = "/api/v1/upstream-calls"
LOCAL = connection_policy(["127.0.0.0/8"])
JSON = "application/json"


@pytest.fixture
def connection(erp_connector: Any, erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def calls_of(connection: Connection, **owner: Any) -> list[UpstreamCall]:
    """Oldest first."""
    with scope(workspace=connection.workspace_id):
        return list(UpstreamCall.objects.filter(connection=connection, **owner).order_by("pk"))


def client_of(connection: Connection, *scopes: str, **facts: Any) -> Any:
    return api(make_token(connection.workspace, scopes=scopes, **facts)[1])


def shown(body: bytes, kind: str = JSON, *secrets: str) -> str:
    return content_of(body, {"Content-Type": kind} if kind else {}).text(Redaction(secrets))


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", JSON, ""),
        (b'{"a": 1.50}', JSON, '{"a": 1.50}'),
        ("Zählerstände".encode(), "", "Zählerstände"),
        ("Zähler".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Zähler"),
        ("Zähler".encode("latin-1"), "text/plain", "Zähler"),
        ("Zähler".encode(), "text/plain; charset=none-such", "Zähler"),
        (b"a\x00b", "text/plain", "a\ufffdb"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png", "(9 bytes of image/png)"),
        (b"\x00\x01\x02", "", "(3 bytes of an unnamed type)"),
        (b"PK\x03\x04", "application/zip", "(4 bytes of application/zip)"),
    ],
)
def test_body_when_shown_then_it_is_text_or_says_what_it_is(body: bytes, kind: str, expected: str) -> None:
    assert shown(body, kind) == expected


@pytest.mark.parametrize("size", [SHOWN_CHARACTERS + 1, KEPT_BYTES, KEPT_BYTES + 1, 1_000_000])
@pytest.mark.parametrize("unit", ["x", "ä", "漢"])
def test_body_when_long_then_it_is_cut_and_says_so(size: int, unit: str) -> None:
    body = (unit * size).encode()
    text = shown(body)
    assert len(text) <= SHOWN_CHARACTERS and text.startswith(unit * 2000)
    assert text.endswith(f"… [cut: {len(body)} bytes in all]") and "\ufffd" not in text


@pytest.mark.parametrize("end", [*range(SHOWN_CHARACTERS - 60, SHOWN_CHARACTERS + 20, 3), KEPT_BYTES - 9])
def test_body_when_a_secret_lies_across_the_cut_then_nothing_of_it_is_left(end: int) -> None:
    for lead in ("", '{"api_key": "'):
        text = shown(b"." * (end - len(lead)) + lead.encode() + API_KEY.encode() + b"." * 9000, JSON, API_KEY)
        assert "correct" not in text and "horse" not in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"params": ["anna", {"password": "hunter-2"}]}', JSON),
        (b'{"accessToken": "hunter-2", "max": {"deep": [{"client_secret": {"v": "hunter-2"}}]}}', JSON),
        (b'{"secrets": ["hunter-2"], "pad": "%s"}' % (b"." * KEPT_BYTES), JSON),
        (b'{"pad": "%s", "password": "hunter-2' % (b"." * 3000), "text/plain"),
        (b"password=hunter-2&grant_type=password", "application/x-www-form-urlencoded"),
        (b"grant_type=password&client_secret=hunter-2", "application/x-www-form-urlencoded"),
        (b"<login><user>anna</user><Password>hunter-2</Password></login>", "text/xml"),
        (b"Authorization: Basic aHVudGVyLTI=", "text/plain"),
    ],
    ids=range(8),
)
def test_body_when_it_holds_a_credential_by_name_then_it_is_cut(body: bytes, kind: str) -> None:
    text = shown(body, kind)
    assert "hunter-2" not in text and "aHVudGVyLTI" not in text and "[cut" in text


def test_body_when_it_holds_numbers_and_no_secret_then_it_stays_as_it_was_written() -> None:
    body = b'{"total": 1.10, "big": 12345678901234567890123, "a": "\\u00e4"}'
    assert shown(body) == body.decode()


def test_record_when_a_secret_is_learned_after_the_call_then_it_is_cut_too() -> None:
    records: list[CallRecord] = []
    answer = always(message(b'{"result": [5, "0123-session-4567"]}'))
    with peer(answer) as server, Door(LOCAL, on_call=records.append) as door:
        door.send(Request("POST", server.url("/rpc/"), json={"password": "hunter-2"}))
        assert "0123-session-4567" in records[0].response_body
        door.hide("0123-session-4567")
    assert records[0].response_body == '{"result": [5, "[secret]"]}'
    assert records[0].request_body == '{"password": "[cut]"}'
    assert "hunter-2" not in str(records) and "0123-session" not in str(records)


def test_record_when_no_answer_came_then_what_was_sent_is_there() -> None:
    records: list[CallRecord] = []
    with peer(lambda request, sock: False) as server, Door(LOCAL, on_call=records.append) as door:
        with pytest.raises(LineshaftError):
            door.send(Request("PUT", server.url(), json={"a": 1}, total_timeout=5, is_write=True))
    assert (records[0].request_body, records[0].response_body, records[0].status) == ('{"a":1}', "", None)
    assert records[0].error_code == "OUTCOME_UNKNOWN"


def test_content_when_a_page_is_large_then_only_its_beginning_is_held() -> None:
    content = content_of(b"x" * 5_000_000, {})
    assert (len(content.start), content.size) == (KEPT_BYTES, 5_000_000)


# --- the log --------------------------------------------------------------------------------------------------------


def record(number: int = 1, **facts: Any) -> CallRecord:
    return CallRecord("GET", f"https://erp.example/{number}", 200, timezone.now(), 12.34, 100, 200, **facts)


def test_log_when_more_calls_come_than_it_keeps_then_the_last_are_saved_with_their_positions(
    connection: Connection,
) -> None:
    log, run_id = CallLog(connection, last=20), new_id()
    for number in range(1, 58):
        log(record(number))
    assert (len(log), log.left_out) == (20, 37)
    assert log.save(run_id=run_id) == 20 and log.save(run_id=run_id) == 0
    kept = calls_of(connection, run_id=run_id)
    assert [call.position for call in kept] == list(range(38, 58))
    assert [call.url for call in kept] == [f"https://erp.example/{number}" for number in range(38, 58)]


def test_log_without_a_limit_keeps_two_hundred(connection: Connection) -> None:
    log = CallLog(connection)
    for number in range(1, 251):
        log(record(number))
    assert (log.left_out, log.save(operation_id=new_id())) == (50, 200)


def test_log_when_threads_take_turns_then_every_call_has_its_own_position(connection: Connection) -> None:
    log = CallLog(connection)

    def call_twenty_times() -> None:
        for _ in range(20):
            log(record())

    threads = [threading.Thread(target=call_twenty_times) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.save(operation_id=new_id())
    assert sorted(call.position for call in calls_of(connection)) == list(range(1, 101))


def test_log_when_texts_are_hostile_then_the_rows_are_stored_all_the_same(connection: Connection) -> None:
    log = CallLog(connection)
    url = "https://erp.example/?token=abc123&q=" + "x" * 5000 + "\x00\ud83d"
    log(record(error_code="E" * 100, sent=content_of(b"a\x00\xed\xa0\xbd", {"Content-Type": "text/plain"})))
    log(CallRecord("G" * 50, url, None, record().started_at, 1.0, 1, 1, redaction=NO_SECRETS))
    assert log.save(triggered_by="t" * 300) == 2
    assert "abc123" not in calls_of(connection)[1].url


def test_log_when_a_connector_speaks_then_its_calls_are_in_it_without_the_key(
    connection: Connection, erp_server: TestErpServer
) -> None:
    log = CallLog(connection)
    with open_connector(connection, on_call=log) as erp:
        erp.check()
    log.save(operation_id=(operation_id := new_id()))
    (call,) = calls_of(connection, operation_id=operation_id)
    assert (call.method, call.url, call.status) == ("GET", f"{erp_server.base_url}/me", 200)
    assert json.loads(call.response_body)["version"] == "9.4"
    assert call.request_bytes > 50 and call.response_bytes > 50 and call.elapsed_ms > 0


def test_old_calls_when_they_are_too_old_then_they_go_in_batches(connection: Connection, settings: Any) -> None:
    settings.UPSTREAM_CALL_DAYS = 14
    log = CallLog(connection)
    for number in range(1, 8):
        log(record(number))
    log.save(run_id=new_id())
    with scopes_disabled():
        UpstreamCall.objects.filter(position__lte=5).update(created_at=F("created_at") - timedelta(days=14, minutes=1))
        UpstreamCall.objects.filter(position=6).update(created_at=F("created_at") - timedelta(days=13, hours=23))
    assert [forget_old_calls(limit=3) for _ in range(3)] == [3, 2, 0]
    assert [call.position for call in calls_of(connection)] == [6, 7]


# --- runs -----------------------------------------------------------------------------------------------------------


def test_run_when_it_fails_then_its_last_calls_are_kept(connection: Connection, erp_server: TestErpServer) -> None:
    erp_server.add_orders(60)
    erp_server.page_size = 2
    erp_server.fail("http_403", on="/orders", skip=25)
    run = run_sync(sync_of(connection))
    assert run.status == "failed"
    kept = calls_of(connection, run_id=run.pk)
    assert len(kept) == 20 and kept[-1].status == 403 and "Not for this role." in kept[-1].response_body
    assert [call.position for call in kept] == list(range(kept[-1].position - 19, kept[-1].position + 1))
    assert {call.status for call in kept[:-1]} == {200}
    assert all(len(call.response_body) <= SHOWN_CHARACTERS for call in kept)


def test_run_when_it_completes_then_no_call_is_kept(connection: Connection, erp_server: TestErpServer) -> None:
    erp_server.add_orders(3)
    assert run_sync(sync_of(connection)).status == "completed"
    assert calls_of(connection) == []


def test_run_when_it_gives_up_after_waiting_then_the_last_try_is_kept(
    connection: Connection, erp_server: TestErpServer, settings: Any
) -> None:
    settings.SYNC_RETRY_SECONDS = [1]
    erp_server.fail("http_500")
    run = run_sync(sync_of(connection), rounds=3)
    assert run.status == "failed"
    assert [call.status for call in calls_of(connection, run_id=run.pk)][-1] == 500


def test_run_when_no_answer_comes_then_the_call_says_why(
    connection: Connection, erp_server: TestErpServer, settings: Any
) -> None:
    settings.SYNC_RETRY_SECONDS = []
    erp_server.fail("truncated", on="/orders")
    run = run_sync(sync_of(connection))
    last = calls_of(connection, run_id=run.pk)[-1]
    assert (run.status, last.status, last.error_code) == ("failed", None, "ANSWER_CUT_OFF")


def test_run_when_most_cannot_be_mapped_then_its_calls_are_kept(
    connection: Connection, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(1)
    erp_server.fail("bad_amount", on="/orders")
    run = run_sync(sync_of(connection))
    assert (run.status, run.error["code"]) == ("failed", "MAPPING_FAILED")
    assert calls_of(connection, run_id=run.pk)


# --- API ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(connection: Connection) -> dict[str, Any]:
    """Three calls of a run, two of an operation, one by passthrough."""
    owners = {"run_id": new_id(), "operation_id": new_id()}
    log = CallLog(connection)
    for number in range(3):
        log(record(number))
    log.save(run_id=owners["run_id"])
    for number in range(2):
        log(record(number))
    log.save(operation_id=owners["operation_id"])
    log(record(9))
    log.save(triggered_by="token tok_9")
    return owners


def get(client: Any, **query: Any) -> Any:
    response = client.get(CALLS, query)
    assert response.status_code == 200, response.content
    return response.json()


def test_list_when_asked_for_a_run_then_its_calls_newest_first(connection: Connection, logged: dict[str, Any]) -> None:
    client = client_of(connection, Scope.SYNCS_READ)
    page = get(client, run=f"run_{logged['run_id'].hex}")
    assert [call["url"][-1] for call in page["data"]] == ["2", "1", "0"] and page["next_cursor"] is None
    call = page["data"][0]
    assert call["run_id"] == f"run_{logged['run_id'].hex}" and call["operation_id"] is None
    assert call["connection_id"] == f"con_{connection.pk.hex}" and call["id"].startswith("call_")
    (example,) = code_of("docs/guides/upstream-calls.md", "json")
    assert list(json.loads(example)) == list(call), "the guide shows another object"
    assert (call["elapsed_ms"], call["status"], call["error_code"], call["position"]) == (12.3, 200, "", 3)


def test_list_when_paged_then_each_call_once(connection: Connection, logged: dict[str, Any]) -> None:
    client, seen, cursor = client_of(connection, *Scope.values), [], None
    while True:
        page = get(client, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [call["id"] for call in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([Scope.SYNCS_READ], 3),
        ([Scope.SYNCS_READ, Scope.OPERATIONS_READ], 5),
        ([Scope.SYNCS_READ, Scope.PASSTHROUGH_READ], 4),
        ([Scope.SYNCS_WRITE, Scope.OPERATIONS_WRITE, Scope.PASSTHROUGH_WRITE], 6),
    ],
)
def test_list_without_a_filter_shows_what_the_scopes_open(
    connection: Connection, logged: dict[str, Any], scopes: list[Scope], expected: int
) -> None:
    assert len(get(client_of(connection, *scopes))["data"]) == expected


def test_list_when_the_scope_is_missing_then_it_is_named(connection: Connection, logged: dict[str, Any]) -> None:
    run, operation = f"run_{logged['run_id'].hex}", f"op_{logged['operation_id'].hex}"
    of_syncs, of_operations = client_of(connection, Scope.SYNCS_READ), client_of(connection, Scope.OPERATIONS_READ)
    assert len(get(of_operations, operation=operation)["data"]) == 2
    for client, query, needed in (
        (of_syncs, {"operation": operation}, "operations:read"),
        (of_operations, {"run": run}, "syncs:read"),
        (of_operations, {}, "syncs:read"),
    ):
        refused = client.get(CALLS, query)
        assert (refused.status_code, refused.json()["required_scope"]) == (403, needed)


def test_list_when_asked_wrongly_then_the_parameter_is_named(connection: Connection, logged: dict[str, Any]) -> None:
    client = client_of(connection, *Scope.values)
    run, operation = f"run_{logged['run_id'].hex}", f"op_{logged['operation_id'].hex}"
    for query in ({"run": "run_1"}, {"operation": run}, {"run": run, "operation": operation}, {"sync": "x"}):
        assert client.get(CALLS, query).status_code == 400
    assert get(client, run=f"run_{new_id().hex}")["data"] == []
    assert client.get(CALLS, {"connection": f"con_{new_id().hex}"}).status_code == 404


def test_list_when_the_token_is_of_another_connection_or_environment_then_nothing(
    connection: Connection, erp_server: TestErpServer, logged: dict[str, Any]
) -> None:
    run = f"run_{logged['run_id'].hex}"
    other = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    assert get(client_of(connection, *Scope.values, connection_id=other.pk), run=run)["data"] == []
    assert get(client_of(connection, *Scope.values, environment="test"), run=run)["data"] == []
    assert len(get(client_of(connection, *Scope.values, connection_id=connection.pk), run=run)["data"]) == 3


# --- screens --------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(connection: Connection) -> Any:
    return signed_in(make_person("operator", connection.workspace))


def test_page_of_a_failed_run_leads_to_its_calls(
    connection: Connection, erp_server: TestErpServer, browser: Any, logged: dict[str, Any]
) -> None:
    erp_server.add_orders(1)
    erp_server.fail("http_403", on="/orders", times=1)
    failed = run_sync(sync_of(connection))
    completed = run_sync(sync_of(connection))
    count = len(calls_of(connection, run_id=failed.pk))
    page = html(browser.get(change(failed)))
    assert f"Upstream calls ({count})" in page
    (address,) = {part.split('"')[0] for part in page.split('href="') if "upstreamcall" in part and "run=" in part}
    listed = words(browser.get(address))
    assert "4xx" in listed and listed.count("Sync run, call") == count
    assert "Upstream calls" not in words(browser.get(change(completed)))


def test_list_of_calls_is_found_by_kind_answer_and_id(
    connection: Connection, browser: Any, logged: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    address = "/admin/connections/upstreamcall/"

    def found(**query: str) -> int:
        return words(browser.get(address, query)).count("https://erp.example/")

    with django_assert_max_num_queries(12):
        assert found() == 6
    assert [found(kind=kind) for kind in ("run", "operation", "passthrough", "x")] == [3, 2, 1, 6]
    assert [found(answer=answer) for answer in ("2", "5", "none")] == [6, 0, 0]
    assert found(q=f"op_{logged['operation_id'].hex}") == 2 and found(q=connection.name) == 6
    assert found(operation=str(logged["operation_id"])) == 2 and found(run="nonsense") == 0


def test_page_of_a_call_shows_both_bodies_and_cannot_be_changed(connection: Connection, browser: Any) -> None:
    log = CallLog(connection)
    sent, answered = b'{"number": "PO-1"}', b"<b>no</b>"
    log(record(sent=content_of(sent, {"Content-Type": JSON}), answered=content_of(answered, {})))
    log.save(triggered_by="token tok_9")
    (call,) = calls_of(connection)
    page = browser.get(change(call))
    assert "&lt;b&gt;no&lt;/b&gt;" in html(page) and "token tok_9" in html(page)
    assert '"number": "PO-1"' in words(page) and "Status 200" in words(page)
    assert browser.post(change(call), {"url": "x"}).status_code == 403
