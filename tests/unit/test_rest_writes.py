"""Writes over REST: what is planned, what an answer means, and how a lost one is found."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import orjson
import pytest

from core.errors import (
    BadAnswerError,
    BusinessRuleError,
    ConflictError,
    LineshaftError,
    NotFoundError,
    NotSupportedError,
    RateLimitedError,
    TimeoutUnknownError,
    TransientError,
    UnreachableError,
    ValidationFailedError,
)
from core.http import Door, connection_policy
from integrations.entities import PurchaseOrder
from integrations.protocols.paging import Cursor
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import Bearer
from integrations.sdk.connector import ConnectorSettings
from integrations.sdk.declarations import Action, Field, Jobs, Parameter, Resource, Secret, Since, Url, Write
from integrations.sdk.unmapping import compile_unmapping
from integrations.sdk.writes import Change, JobState, Sent, WriteCall
from tests.http_peer import Peer, Received, message

KEY = "k-9f8e7d6c5b"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


class Erp(RestConnector):
    """Every way of writing that the protocol knows."""

    slug, title = "writing-erp", "Writing ERP"
    config = (Url("base_url"), Secret("api_key"))
    auth = Bearer("api_key")
    integer_ids: ClassVar[bool] = True
    call_seconds = 5.0

    orders = Resource(
        PurchaseOrder,
        path="/orders",
        items="items",
        item="order",
        id="id",
        detail="/orders/{id}",
        paging=Cursor(),
        changes=Since("changed", parameter="since"),
        deleted_when="gone_at",
        writes=(
            Write("create", resolve="mark", mark="extra.Our key"),
            Write("update"),
            Write("delete", only_status=("draft",)),
            Write("delete", only_status=("open",), method="POST", path="/orders/{id}/void"),
        ),
        actions=(
            Action(
                "approve",
                "Approve",
                ("approved",),
                parameters=(
                    Parameter("note", source="reviewNote"),
                    Parameter("approver", kind="reference", source="approverId"),
                    Parameter("limit", kind="decimal"),
                ),
                method="PATCH",
                path="/orders/{id}/status",
                body={"status": "approved"},
            ),
            Action("print", "Print", ()),
        ),
        fields=(
            Field("remote_status", "state", read_only=True),
            Field("number", "no"),
            Field("notes", "text.note"),
            Field("vendor", "vendor.id", write="vendorId"),
            Field("lines", "lines", items=(Field("id", "id"), Field("quantity", "qty"), Field("unit_price", "price"))),
        ),
    )


class System:
    """Answers what the test says, and remembers what came."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.peer = Peer(self._answer)
        self.base_url = self.peer.url("/api")

    def _answer(self, request: Received, sock: socket.socket) -> bool:
        answer = self.answers.pop(0) if self.answers else message(b"{}")
        if answer:
            sock.sendall(answer)
        is_whole = answer.endswith((b"}", b"]", b">", b"null", b"\r\n\r\n"))
        return is_whole

    @property
    def received(self) -> list[Received]:
        return self.peer.received


@pytest.fixture
def system() -> Iterator[System]:
    found = System()
    yield found
    found.peer.stop()


@pytest.fixture
def make(system: System) -> Iterator[Any]:
    doors: list[Door] = []

    def one(kind: type[RestConnector] = Erp) -> RestConnector:
        door = Door(connection_policy(["127.0.0.0/8"]), secrets=[KEY])
        doors.append(door)
        return kind(ConnectorSettings({"base_url": system.base_url}, {"api_key": KEY}), door)

    yield one
    for door in doors:
        door.close()


@pytest.fixture
def erp(make: Any) -> RestConnector:
    return make()


def planned(erp: RestConnector, change: Change) -> WriteCall:
    unmapping = compile_unmapping(Erp.orders.spec, Erp.orders.fields, encode=erp.encode)
    (call,) = erp.plan(Erp.orders, change, unmapping)
    return call


def create(**values: Any) -> Change:
    return Change("create", {"number": "A-1", **values}, mark="lsh-1")


def update(**values: Any) -> Change:
    return Change("update", values, "7|a b", before={"id": 7, "state": "open"})


# --- planned ---------------------------------------------------------------------------------------------------------


def test_create_when_planned_then_the_body_is_nested_exact_and_marked(erp: RestConnector, system: System) -> None:
    lines = [{"quantity": "2.50", "unit_price": "0.10"}, {"quantity": "3"}]
    call = planned(erp, create(vendor="42", notes="Gate 3", lines=lines))

    assert (call.method, call.url, call.creates, call.repeatable) == ("POST", f"{system.base_url}/orders", True, False)
    assert call.content() == (
        b'{"no":"A-1","vendorId":42,"text":{"note":"Gate 3"},"lines":[{"qty":2.50,"price":0.10},{"qty":3}],'
        b'"extra":{"Our key":"lsh-1"}}'
    )
    assert KEY not in str(call.as_json())


def test_create_when_the_place_of_the_mark_is_taken_then_it_stays(erp: RestConnector, make: Any) -> None:
    class Named(Erp):
        orders = replace(Erp.orders, writes=(Write("create", resolve="mark", mark="no", mark_field="number"),))

    named = make(Named)
    unmapping = compile_unmapping(Erp.orders.spec, Erp.orders.fields, encode=named.encode)

    bodies = [
        named.plan(Named.orders, Change("create", values, mark="lsh-1"), unmapping)[0].body
        for values in ({"number": "A-1"}, {"number": None}, {"notes": "x"})
    ]
    assert [body["no"] for body in bodies] == ["A-1", "lsh-1", "lsh-1"]


def test_update_when_planned_then_the_id_is_quoted_and_only_the_wished_is_sent(
    erp: RestConnector, system: System
) -> None:
    call = planned(erp, Change("update", {"notes": None}, "a/b?c", before={"state": "open"}))

    assert (call.method, call.url) == ("PATCH", f"{system.base_url}/orders/a%2Fb%3Fc")
    assert call.body == {"text": {"note": None}} and call.repeatable and not call.creates


@pytest.mark.parametrize(
    ("state", "method", "path"), [("draft", "DELETE", "/orders/7"), ("open", "POST", "/orders/7/void")]
)
def test_delete_when_several_are_declared_then_the_status_decides(
    erp: RestConnector, system: System, state: str, method: str, path: str
) -> None:
    call = planned(erp, Change("delete", {}, "7", before={"state": state}))

    assert (call.method, call.url, call.content()) == (method, system.base_url + path, None)


def test_delete_when_no_declared_one_fits_then_it_is_refused(erp: RestConnector) -> None:
    with pytest.raises(NotSupportedError):
        planned(erp, Change("delete", {}, "7", before={"state": "done"}))


def test_action_when_planned_then_parameters_go_by_the_systems_names(erp: RestConnector, system: System) -> None:
    values = {"note": "ok", "approver": "12", "limit": Decimal("1.50")}
    call = planned(erp, Change("action", values, "7", before={}, action="approve"))

    assert (call.method, call.url) == ("PATCH", f"{system.base_url}/orders/7/status")
    assert call.content() == b'{"status":"approved","reviewNote":"ok","approverId":12,"limit":1.50}'


def test_action_when_no_route_is_declared_then_it_is_posted_below_the_object(erp: RestConnector) -> None:
    call = planned(erp, Change("action", {}, "7", before={}, action="print"))

    assert (call.method, call.url.endswith("/orders/7/print"), call.body) == ("POST", True, {})


def test_reference_when_it_is_no_whole_number_then_its_field_is_named(erp: RestConnector) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        planned(erp, create(vendor="V-42"))

    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/vendor", "VALUE_NOT_ACCEPTED")]


def test_update_when_lines_are_taken_away_then_it_says_that_it_cannot(erp: RestConnector) -> None:
    with pytest.raises(NotSupportedError, match="removes no lines"):
        planned(erp, update(lines=[{"id": "1", "_delete": True}]))


def test_version_when_the_connector_knows_it_then_if_match_is_sent(make: Any, system: System) -> None:
    class Versioned(Erp):
        def etag_of(self, resource: Resource, change: Change) -> str | None:
            return '"v3"'

        def write_parameters(self, resource: Resource, change: Change) -> dict[str, str]:
            return {"quiet": "a b"}

    erp = make(Versioned)
    erp.send_call(Erp.orders, planned(erp, Change("update", {"number": "1"}, "7", before={})))
    planned_create = planned(erp, create())

    assert system.received[0].headers["if-match"] == '"v3"'
    assert system.received[0].path == "/api/orders/7?quiet=a%20b"
    assert planned_create.headers == {} and planned_create.url.endswith("/orders?quiet=a%20b")


def test_call_when_stored_and_read_again_then_the_same_bytes_travel(erp: RestConnector, system: System) -> None:
    call = planned(erp, create(lines=[{"quantity": "1.10"}]))
    stored = WriteCall.from_json(orjson.loads(orjson.dumps(call.as_json())))
    system.answers = [message(b'{"id": 5}', "201 Created")]

    assert erp.send_call(Erp.orders, stored) == Sent("5")
    (received,) = system.received
    assert received.body == call.content()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == f"Bearer {KEY}"


# --- answered --------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[bytes, type[LineshaftError]]] = [
    (message(b'{"message": "no"}', "400 Bad Request"), ValidationFailedError),
    (message(b"{}", "404 Not Found"), NotFoundError),
    (message(b"{}", "409 Conflict"), ConflictError),
    (message(b"{}", "412 Precondition Failed"), ConflictError),
    (message(b'{"error": "closed"}', "422 Unprocessable"), BusinessRuleError),
    (message(b"{}", "429 Too Many", retry_after="7"), RateLimitedError),
]
UNSURE: list[tuple[bytes, type[LineshaftError]]] = [
    (message(b"", "500 Internal Server Error"), TransientError),
    (message(b"", "502 Bad Gateway"), TransientError),
    (message(b"", "503 Service Unavailable", retry_after="7"), TransientError),
    (message(b"", "408 Request Timeout"), TransientError),
    (message(b"<html></html>", content_type="text/html"), BadAnswerError),
    (message(b""), BadAnswerError),
    (message(b"[1]"), BadAnswerError),
    (message(b"null"), BadAnswerError),
    (message(b'{"job": 1}', "202 Accepted"), BadAnswerError),
    (b"", TimeoutUnknownError),
    (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"id', TimeoutUnknownError),
]


def is_settled(error: LineshaftError) -> bool:
    """As the engine tells whether a sent write was surely not done."""
    if isinstance(error, (TimeoutUnknownError, BadAnswerError)):
        return False
    return not (isinstance(error, TransientError) and error.source is not None and error.source.status is not None)


@pytest.mark.parametrize(
    ("answer", "kind"), REFUSALS, ids=[answer.split(b"\r\n")[0].decode() for answer, _ in REFUSALS]
)
def test_answer_when_it_is_a_refusal_then_it_was_surely_not_done(
    erp: RestConnector, system: System, answer: bytes, kind: type[LineshaftError]
) -> None:
    system.answers = [answer]
    with pytest.raises(kind) as caught:
        erp.send_call(Erp.orders, planned(erp, create()))

    assert is_settled(caught.value)
    if kind is RateLimitedError:
        assert caught.value.retry_after == 7


@pytest.mark.parametrize(("answer", "kind"), UNSURE, ids=[str(place) for place in range(len(UNSURE))])
@pytest.mark.parametrize("operation", ["create", "update"])
def test_answer_when_it_says_nothing_sure_then_it_must_be_looked_up(
    erp: RestConnector, system: System, answer: bytes, kind: type[LineshaftError], operation: str
) -> None:
    system.answers = [answer]
    with pytest.raises(kind) as caught:
        erp.send_call(Erp.orders, planned(erp, create() if operation == "create" else update(number="B")))

    assert not isinstance(caught.value, RateLimitedError) and not is_settled(caught.value)


def test_503_when_the_system_says_so_before_it_begins_then_it_is_a_limit(make: Any, system: System) -> None:
    class Polite(Erp):
        refused_503 = True

    system.answers = [message(b"", "503 Service Unavailable", retry_after="7")]
    erp = make(Polite)
    with pytest.raises(RateLimitedError):
        erp.send_call(Erp.orders, planned(erp, create()))


def test_call_when_nobody_listens_or_it_is_too_late_then_nothing_was_sent(erp: RestConnector, system: System) -> None:
    call = planned(erp, create())
    with pytest.raises(TransientError) as late:
        erp.send_call(Erp.orders, call, not_after=time.monotonic() - 1)
    system.peer.stop()
    with pytest.raises(UnreachableError) as nobody:
        erp.send_call(Erp.orders, call)

    assert system.received == []
    assert is_settled(late.value) and is_settled(nobody.value)


@pytest.mark.parametrize(
    ("answer", "remote_id"),
    [
        (message(b'{"id": 31007}', "201 Created"), "31007"),
        (message(b'{"order": {"id": "x-1"}}'), "x-1"),
        (message(b"{}", "201 Created", location="https://erp.example/api/orders/a%2F5/"), "a/5"),
        (b"HTTP/1.1 204 No Content\r\nLocation: /api/orders/9\r\n\r\n", "9"),
    ],
    ids=["body", "wrapped", "location", "204"],
)
def test_created_id_when_it_is_told_somewhere_then_it_is_found(
    erp: RestConnector, system: System, answer: bytes, remote_id: str
) -> None:
    system.answers = [answer]

    assert erp.send_call(Erp.orders, planned(erp, create())) == Sent(remote_id)


def test_update_when_it_answers_without_content_then_it_is_done(erp: RestConnector, system: System) -> None:
    system.answers = [b"HTTP/1.1 204 No Content\r\n\r\n"]

    assert erp.send_call(Erp.orders, planned(erp, update(number="B"))) == Sent()


# --- accepted --------------------------------------------------------------------------------------------------------


class Slow(Erp):
    """Accepts writes and works on them."""

    jobs = Jobs(id="jobId")


def test_job_when_accepted_then_it_is_followed_to_its_end(make: Any, system: System) -> None:
    erp = make(Slow)
    system.answers = [
        message(b'{"jobId": "j/1"}', "202 Accepted"),
        message(b'{"status": "PENDING"}'),
        message(b'{"status": "DONE", "result": {"id": 77}}'),
        message(b'{"status": "FAILED", "error": "Vendor is blocked."}'),
    ]
    sent = erp.send_call(Erp.orders, planned(erp, create()))
    assert sent == Sent(job={"id": "j/1"})
    running, done, failed = (erp.poll(Erp.orders, sent.job) for _ in range(3))

    assert (running, done) == (JobState("running"), JobState("done", "77"))
    assert failed.state == "failed" and isinstance(failed.error, BusinessRuleError)
    assert "Vendor is blocked." in str(failed.error)
    assert system.received[1].path == "/api/jobs/j%2F1"


def test_job_when_none_is_named_then_the_outcome_is_unknown(make: Any, system: System) -> None:
    erp = make(Slow)
    system.answers = [message(b'{"ok": true}', "202 Accepted")]
    with pytest.raises(BadAnswerError, match="names no job"):
        erp.send_call(Erp.orders, planned(erp, create()))


def test_poll_when_the_connector_declares_no_jobs_then_it_says_so(erp: RestConnector) -> None:
    with pytest.raises(NotSupportedError):
        erp.poll(Erp.orders, {"id": "1"})


# --- looked for ------------------------------------------------------------------------------------------------------


def page(*rows: dict[str, Any], cursor: str | None = None) -> bytes:
    return message(orjson.dumps({"items": rows, "next_cursor": cursor}))


def test_marked_when_the_list_shows_the_mark_then_pages_since_then_are_enough(
    erp: RestConnector, system: System
) -> None:
    system.answers = [
        page({"id": 1, "extra": {"Our key": "other"}}, {"id": 2, "extra": None}, cursor="c"),
        page({"id": 3, "extra": {"Our key": "lsh-1"}}),
    ]
    erp._clock_offset_seconds = 0.0

    assert erp.find_marked(Erp.orders, create(), NOW) == ["3"]
    assert [received.path for received in system.received] == [
        "/api/orders?since=2026-11-24T07%3A59%3A00Z&limit=100",
        "/api/orders?since=2026-11-24T07%3A59%3A00Z&limit=100&cursor=c",
    ]


def test_marked_when_the_list_is_too_slim_then_each_object_is_read(erp: RestConnector, system: System) -> None:
    system.answers = [
        page({"id": 1}, {"id": 2}, {"id": 3}),
        message(b'{"order": {"id": 1, "extra": {"Our key": "lsh-1"}}}'),
        message(b"{}", "404 Not Found"),
        message(b'{"order": {"id": 3, "gone_at": "2026-11-24", "extra": {"Our key": "lsh-1"}}}'),
    ]
    erp._clock_offset_seconds = 0.0

    assert erp.find_marked(Erp.orders, create(), NOW) == ["1"]


def test_marked_when_the_list_does_not_end_in_time_then_it_says_so(erp: RestConnector, system: System) -> None:
    erp._clock_offset_seconds, erp.call_seconds = 0.0, 0.000_001  # type: ignore[misc]
    erp.get = lambda *_args, **_rest: Answered()  # type: ignore[assignment]
    with pytest.raises(TransientError) as caught:
        erp.find_marked(Erp.orders, create(), NOW)

    assert caught.value.code == "SEARCH_TOO_LONG"


class Answered:
    """A page with another one behind it."""

    body = b'{"items": [{"id": 1, "extra": null}], "next_cursor": "c"}'
    headers: ClassVar[dict[str, str]] = {}


def test_marked_when_nothing_is_marked_then_it_cannot_be_searched(make: Any) -> None:
    class Unmarked(Erp):
        orders = replace(Erp.orders, writes=(Write("create"),))

    with pytest.raises(NotSupportedError):
        make(Unmarked).find_marked(Unmarked.orders, create(), NOW - timedelta(minutes=1))


# --- read again ------------------------------------------------------------------------------------------------------


def test_one_when_it_is_flagged_as_deleted_then_it_is_not_found(erp: RestConnector, system: System) -> None:
    system.answers = [
        message(b'{"order": {"id": 7, "gone_at": "2026-11-24T07:00:00Z"}}'),
        message(b'{"order": {"id": 7, "gone_at": null, "no": 1.50}}'),
    ]
    with pytest.raises(NotFoundError) as caught:
        erp.fetch_one(Erp.orders, "7")

    assert caught.value.code == "DELETED_AT_SOURCE"
    assert erp.fetch_one(Erp.orders, "7") == b'{"id": 7, "gone_at": null, "no": 1.50}'


@pytest.mark.parametrize("body", [b"[]", b'{"order": [1]}', b'"text"'])
def test_one_when_the_answer_is_no_object_then_it_is_a_bad_answer(
    erp: RestConnector, system: System, body: bytes
) -> None:
    system.answers = [message(body)]
    with pytest.raises(BadAnswerError):
        erp.fetch_one(Erp.orders, "7")
