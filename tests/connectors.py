"""A small connector and the system it speaks to: a real HTTP server on a free loopback port, under the test's control.

    # ruff: noqa: F811 (fixtures are imported)
    from tests.connectors import erp_connector, erp_server  # noqa: F401

    def test_...(erp_connector, erp_server):
        erp_server.add_orders(3)
        erp_server.fail("http_500", times=2, on="/orders")

The server shares no code with the connector. Its clock can be set; lists are in order of id, so they do not shift.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from core.errors import NotFoundError
from core.ids import new_id
from core.keys import default_ring
from integrations.entities import PurchaseOrder, Vendor
from integrations.protocols.paging import Cursor
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import HeaderKey
from integrations.sdk.declarations import (
    Boolean,
    Choice,
    Field,
    Integer,
    Limits,
    Resource,
    Rule,
    Secret,
    Since,
    Text,
    Url,
    Write,
)
from integrations.sdk.pages import CheckResult, Page, Position, PositionExpiredError, Window
from tests.http_peer import Peer, Received
from workspaces.models import Workspace

SLUG = "test-erp"
API_KEY = "correct-horse-battery-staple"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
ORDER_STATUS = {
    "draft": "draft",
    "open": "ordered",
    "part": "partially_received",
    "done": "received",
    "void": "cancelled",
}


class TestErp(RestConnector):
    """Purchase orders with changes, vendors without: both ways of keeping fresh."""

    __test__: ClassVar[bool] = False  # not a class of tests

    slug, title, version = SLUG, "Test ERP", "1"
    docs = "https://erp.example/docs"
    summary = "An invented ERP for tests."
    config = (
        Url("base_url", help="Address of the server, e.g. https://erp.example/api"),
        Secret("api_key", help="Key of the integration user"),
        Text("company", required=False, help="Company to read; empty for all"),
        Choice("site", {"north": "North plant", "south": "South plant"}, required=False, default="north"),
        Integer("fiscal_year", required=False),
        Boolean("archived", required=False, default=False),
    )
    auth = HeaderKey("X-Api-Key", secret="api_key")
    limits = Limits(page_size=500)
    check_path = "/me"
    call_seconds = 10.0

    purchase_orders = Resource(
        PurchaseOrder,
        path="/orders",
        items="items",
        detail="/orders/{id}",
        paging=Cursor(total="total"),
        changes=Since("updated_at", parameter="updated_since", touched_by=("receipts",)),
        open_values=("draft", "open", "part"),
        writes=(Write("create", fields=("vendor", "notes", "lines")), Write("delete", kind="cancel")),
        rules=(Rule("delete", unless_status=("received",), reason="Received orders stay."),),
        fields=(
            Field("number", "number", read_only=True),
            Field("description", "text"),
            Field("status", "status", values=ORDER_STATUS, read_only=True),
            Field("remote_status", "status", read_only=True),
            Field("vendor", "vendor_id", name="vendor_name"),
            Field("currency", "currency"),
            Field("total_amount", "total", read_only=True),
            Field("order_date", "ordered_on"),
            Field("notes", "notes"),
            Field(
                "lines",
                "lines",
                items=(
                    Field("id", "id"),
                    Field("line_number", "position"),
                    Field("description", "text"),
                    Field("quantity", "quantity"),
                    Field("unit", "unit", unit={"pcs": "EA", "kg": "KG"}),
                    Field("unit_raw", "unit"),
                    Field("unit_price", "price"),
                ),
            ),
            Field("remote_created_at", "created_at", read_only=True),
            Field("remote_updated_at", "updated_at", read_only=True),
        ),
    )
    vendors = Resource(
        Vendor,
        path="/vendors",
        items="items",
        detail="/vendors/{id}",
        paging=Cursor(total="total"),
        fields=(
            Field("number", "code"),
            Field("name", "name"),
            Field("status", "blocked", values={"true": "blocked", "false": "active"}),
            Field("email", "email"),
        ),
    )

    def check(self) -> CheckResult:
        me = self.get(self.url(self.check_path), {}).json()
        return CheckResult(account=me["user"], version=me["version"], now=self.now())

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        try:
            return super().fetch_page(resource, window, position)
        except NotFoundError as error:
            if position is None or error.source is None or error.source.status != 410:
                raise
            raise PositionExpiredError("The system forgot its page token.", source=error.source) from error


Row = dict[str, Any]
Answer = tuple[str, dict[str, str], bytes]


@dataclass
class Fault:
    """What goes wrong: `kind` as in `FAULTS`, for the next `times` requests (None: all) to paths beginning with `on`,
    after leaving the first `skip` of them alone."""

    kind: str
    times: int | None = None
    on: str = ""
    skip: int = 0


@dataclass
class Call:
    """One request as the server understood it. `parameters` holds the last value of each name."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class TestErpServer:
    """State and faults of the system; every attribute may be changed while it runs.

    `orders` and `vendors` are rows by id: change them by `put`, `change`, `delete`, which move times like a real system.
    `page_size` caps what a client asks for. `clock` None is the real time, rounded to seconds.
    """

    __test__: ClassVar[bool] = False

    tls: ssl.SSLContext | None = None
    api_key: str = API_KEY
    page_size: int = 500
    retry_after: str = "2"
    slow_seconds: float = 30.0
    clock: datetime | None = None
    sends_date: bool = True
    shows_total: bool = True
    fault: Fault | None = None
    tables: dict[str, dict[str, Row]] = field(default_factory=lambda: {"orders": {}, "vendors": {}})
    calls: list[Call] = field(default_factory=list)
    ignores: tuple[str, ...] = ()  # columns that writes leave as they are, without a word

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._sorted: dict[str, list[str]] = {}
        self._token_age = 0  # raised to make all page tokens given out so far expire
        self._peer = Peer(self._serve, self.tls)
        self.port = self._peer.port
        self.base_url = self._peer.url("").rstrip("/")

    def stop(self) -> None:
        self._peer.stop()

    # --- what a test does ---------------------------------------------------------------------------------------

    @property
    def orders(self) -> dict[str, Row]:
        return self.tables["orders"]

    @property
    def vendors(self) -> dict[str, Row]:
        return self.tables["vendors"]

    def now(self) -> datetime:
        return (self.clock or datetime.now(UTC)).replace(microsecond=0)

    def put(self, table: str, row: Row) -> Row:
        """Insert or replace a row; `updated_at` is now unless the row says otherwise."""
        with self.lock:
            stamp = self.now().strftime(TIME_FORMAT)
            whole = {"created_at": stamp, "updated_at": stamp, **row}
            self.tables[table][str(row["id"])] = whole
            self._sorted.pop(table, None)
            return whole

    def change(self, table: str, remote_id: str, **values: Any) -> None:
        """Change columns and move `updated_at`, unless it is among them."""
        with self.lock:
            row = self.tables[table][remote_id]
            self.tables[table][remote_id] = {**row, "updated_at": self.now().strftime(TIME_FORMAT), **values}

    def delete(self, table: str, *remote_ids: str) -> None:
        """Rows vanish without a trace, as in most systems."""
        with self.lock:
            for remote_id in remote_ids:
                del self.tables[table][remote_id]
            self._sorted.pop(table, None)

    def add_orders(self, count: int, *, first: int = 1001, **values: Any) -> list[str]:
        """`count` realistic orders with ids from `first` on. Answers the ids."""
        return [str(self.put("orders", order(number, **values))["id"]) for number in range(first, first + count)]

    def add_vendors(self, count: int, *, first: int = 1, **values: Any) -> list[str]:
        return [str(self.put("vendors", vendor(number, **values))["id"]) for number in range(first, first + count)]

    def fail(self, kind: str, *, times: int | None = None, on: str = "", skip: int = 0) -> None:
        """Begin to fail as in `FAULTS`; replaces an earlier fault."""
        if kind not in FAULTS:
            raise ValueError(f"{kind} is none of {', '.join(FAULTS)}")
        with self.lock:
            self.fault = Fault(kind, times, on, skip)

    def heal(self) -> None:
        with self.lock:
            self.fault = None

    def expire_tokens(self) -> None:
        """All page tokens given out so far are refused with 410 from now on; new ones work."""
        with self.lock:
            self._token_age += 1

    def calls_to(self, path: str) -> list[Call]:
        """Requests to paths that begin with `path`, in order."""
        with self.lock:
            return [call for call in self.calls if call.path.startswith(path)]

    def forget_calls(self) -> None:
        with self.lock:
            self.calls.clear()

    # --- what the server does -----------------------------------------------------------------------------------

    def _serve(self, request: Received, sock: socket.socket) -> bool:
        parts = urlsplit(request.path)
        parameters = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = json.loads(request.body) if request.body else None
        call = Call(request.method, unquote(parts.path), parameters, request.headers, body)
        with self.lock:
            self.calls.append(call)
            broken = self._take_fault(call)
        if broken == "slow":
            self._peer.stopping.wait(self.slow_seconds)
        with self.lock:
            status, headers, content = FAULTS[broken](self, call) if broken else self.answer(call)
        return self._send(sock, status, headers, content)

    def _take_fault(self, call: Call) -> str:
        fault = self.fault
        if fault is None or not call.path.startswith(fault.on):
            return ""
        if fault.skip:
            fault.skip -= 1
            return ""
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self.fault = None
        return fault.kind

    def _send(self, sock: socket.socket, status: str, headers: dict[str, str], body: bytes) -> bool:
        named = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        if self.sends_date:
            named["Date"] = format_datetime(self.clock or datetime.now(UTC), usegmt=True)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
        sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return named.get("Connection") != "close"

    def answer(self, call: Call) -> Answer:
        """The healthy answer."""
        if call.headers.get("x-api-key") != self.api_key:
            return refuse("401 Unauthorized", "Unknown key.")
        if call.path == "/me":
            return as_json({"user": "integration@erp.example", "version": "9.4"})
        match = re.fullmatch(r"/(orders|vendors)(?:/([^/]+))?(?:/(approve))?", call.path)
        if match is None:
            return refuse("404 Not Found", "No such route.")
        table, remote_id = match[1], match[2]
        if remote_id is None:
            return self._add(table, call.body) if call.method == "POST" else self._list(table, call.parameters)
        row = self.tables[table].get(remote_id)
        if row is None:
            return refuse("404 Not Found", f"{table} has no {remote_id}.")
        return as_json(row) if call.method == "GET" else self._write(table, row, call)

    def _add(self, table: str, body: Row) -> Answer:
        number = max((int(pk) for pk in self.tables[table] if pk.isdecimal()), default=2000) + 1
        given = {name: value for name, value in body.items() if name not in self.ignores}
        named = (
            {"code": f"V-{number}", "blocked": False}
            if table == "vendors"
            else {"number": f"PO-{number}", "status": "draft"}
        )
        if table == "orders":
            given["lines"] = self._lines(str(number), [], body.get("lines", []))
        return as_json(self.put(table, {**named, **given, "id": str(number)}), "201 Created")

    def _write(self, table: str, row: Row, call: Call) -> Answer:
        """A change of a row: PATCH merges, DELETE of an order cancels it, `approve` opens a draft."""
        remote_id = str(row["id"])
        if call.path.endswith("/approve"):
            if row["status"] != "draft":
                return refuse("422 Unprocessable Entity", "Only drafts are approved.")
            self.change(table, remote_id, status="open")
        elif call.method == "DELETE":
            self.change(table, remote_id, status="void")
        else:
            given = {name: value for name, value in call.body.items() if name not in self.ignores}
            if "lines" in given:
                given["lines"] = self._lines(remote_id, row["lines"], given["lines"])
            self.change(table, remote_id, **given)
        return as_json(self.tables[table][remote_id])

    def _lines(self, remote_id: str, old: list[Row], given: list[Row]) -> list[Row]:
        """Lines by their id; those without one are new."""
        lines = {line["id"]: line for line in old}
        for line in given:
            line_id = line.get("id") or f"{remote_id}-{len(lines) + 1}"
            lines[line_id] = {**lines.get(line_id, {}), **line, "id": line_id}
        return list(lines.values())

    def _list(self, table: str, parameters: dict[str, str]) -> Answer:
        age, _, last = parameters.get("cursor", f"{self._token_age}:").partition(":")
        if age != str(self._token_age):
            return refuse("410 Gone", "This cursor has expired.")
        size = min(int(parameters.get("limit", "100")), self.page_size)
        ids = self._sorted.get(table)
        if ids is None:
            ids = self._sorted[table] = sorted(self.tables[table], key=order_of)
        since = parameters.get("updated_since", "")
        rows = (self.tables[table][remote_id] for remote_id in ids)
        wanted = [row for row in rows if row["updated_at"] >= since]
        left = [row for row in wanted if not last or order_of(str(row["id"])) > order_of(last)]
        page = left[:size]
        body: dict[str, Any] = {"items": page}
        body["next_cursor"] = f"{self._token_age}:{page[-1]['id']}" if len(left) > size else None
        if self.shows_total:
            body["total"] = len(wanted)
        return as_json(body)


def order_of(remote_id: str) -> tuple[int, int | str]:
    """Numbers by value, then everything else by text."""
    return (0, int(remote_id)) if remote_id.isdecimal() else (1, remote_id)


def as_json(value: Any, status: str = "200 OK") -> Answer:
    return status, {}, json.dumps(value).encode()


def refuse(status: str, message: str) -> Answer:
    return as_json({"message": message}, status)


def order(number: int, **values: Any) -> Row:
    """An order as the system writes it."""
    lines = [
        {
            "id": f"{number}-1",
            "position": 10,
            "text": "Mechanical seal",
            "quantity": 8,
            "unit": "pcs",
            "price": "12.50",
        },
        {"id": f"{number}-2", "position": 20, "text": "Grease", "quantity": 2.5, "unit": "kg", "price": "8.00"},
    ]
    return {
        "id": str(number),
        "number": f"PO-{number}",
        "text": "Spare parts for the cooling pumps",
        "status": "open",
        "vendor_id": "7",
        "vendor_name": "Nordring Dichtungen GmbH",
        "currency": "EUR",
        "total": "120.00",
        "ordered_on": "2026-10-05",
        "notes": "Deliver to gate 3.",
        "lines": lines,
        **values,
    }


def vendor(number: int, **values: Any) -> Row:
    """A vendor as the system writes it."""
    row = {"id": str(number), "code": f"V-{number:04}", "name": f"Vendor {number}", "email": f"v{number}@erp.example"}
    return {**row, "blocked": False, **values}


# --- faults ---------------------------------------------------------------------------------------------------------


def _status(status: str, message: str) -> Callable[[TestErpServer, Call], Answer]:
    return lambda server, call: refuse(status, message)


def _rate_limited(server: TestErpServer, call: Call) -> Answer:
    status, headers, body = refuse("429 Too Many Requests", "Slow down.")
    return status, {**headers, "Retry-After": server.retry_after}, body


def _html(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Please sign in</body></html>"


def _truncated(server: TestErpServer, call: Call) -> Answer:
    """Half the body, then the connection closes."""
    status, headers, body = server.answer(call)
    return status, {**headers, "Content-Length": str(len(body)), "Connection": "close"}, body[: len(body) // 2]


def _wrong_length(server: TestErpServer, call: Call) -> Answer:
    """Announces less than it sends: what the client reads ends too early."""
    status, headers, body = server.answer(call)
    return status, {**headers, "Content-Length": str(len(body) - 3), "Connection": "close"}, body


def _not_json(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {}, b'{"items": [{"id": "1001", '


def _empty_body(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {}, b""


def _on_page(change: Callable[[dict[str, Any], Call], None]) -> Callable[[TestErpServer, Call], Answer]:
    """A fault inside the list itself; answers that are no list stay as they are."""

    def fault(server: TestErpServer, call: Call) -> Answer:
        status, headers, body = server.answer(call)
        page = json.loads(body)
        if "items" in page:
            change(page, call)
        return status, headers, json.dumps(page).encode()

    return fault


def _on_first(**values: Any) -> Callable[[TestErpServer, Call], Answer]:
    def change(page: dict[str, Any], call: Call) -> None:
        if page["items"]:
            page["items"][0] = {**page["items"][0], **values}

    return _on_page(change)


def _duplicate_ids(page: dict[str, Any], call: Call) -> None:
    page["items"] += page["items"][:1]


def _missing_id(page: dict[str, Any], call: Call) -> None:
    if page["items"]:
        page["items"][0].pop("id")


def _repeated_token(page: dict[str, Any], call: Call) -> None:
    if page["next_cursor"]:
        page["next_cursor"] = call.parameters.get("cursor", page["next_cursor"])


def _empty_list(page: dict[str, Any], call: Call) -> None:
    page |= {"items": [], "next_cursor": None, "total": 0}


FAULTS: dict[str, Callable[[TestErpServer, Call], Answer]] = {
    "http_401": _status("401 Unauthorized", "Unknown key."),
    "http_403": _status("403 Forbidden", "Not for this role."),
    "http_404": _status("404 Not Found", "No such route."),
    "http_409": _status("409 Conflict", "Changed meanwhile."),
    "http_410": _status("410 Gone", "This cursor has expired."),
    "http_429": _rate_limited,
    "http_500": _status("500 Internal Server Error", "Database is locked."),
    "http_503": _status("503 Service Unavailable", "Maintenance."),
    "html": _html,
    "truncated": _truncated,
    "wrong_length": _wrong_length,
    "not_json": _not_json,
    "empty_body": _empty_body,
    "slow": lambda server, call: server.answer(call),
    "duplicate_ids": _on_page(_duplicate_ids),
    "nul": _on_first(notes="a\x00b"),
    "nul_id": _on_first(id="10\x0001"),
    "lone_surrogate": _on_first(notes="half \ud83d of it"),
    "long_id": _on_first(id="x" * 600),
    "bad_amount": _on_first(total="twelve"),
    "missing_id": _on_page(_missing_id),
    "repeated_token": _on_page(_repeated_token),
    "empty_list": _on_page(_empty_list),
}
"""`nul`, `lone_surrogate`, `bad_amount`, `long_id`, `nul_id`, `missing_id` spoil the first row of a page. `http_410` on a
request with a cursor is an expired token; `empty_list` is what a lost permission often looks like."""


def connect(
    server: TestErpServer, *, workspace: Workspace | None = None, api_key: str = API_KEY, **values: Any
) -> Connection:
    """An active connection to the server, stored without a check; `values` are columns of the connection."""
    if workspace is None:
        workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
        workspace.save(force_insert=True)
    values = {"name": "Plant 1", "health": ConnectionStatus.ACTIVE, "config": {"base_url": server.base_url}, **values}
    connection = Connection(workspace=workspace, system=SLUG, **values)
    connection.save(force_insert=True)
    credential = Credential(workspace=workspace, connection=connection, name="api_key")
    credential.ciphertext = default_ring().encrypt(api_key, bound_to=credential.bound_to)
    credential.save(force_insert=True)
    return connection


# --- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def erp_connector(settings: Any) -> type[TestErp]:
    """The connector is the catalogue's only one during the test."""
    settings.CONNECTORS = ["tests.connectors.TestErp"]
    return TestErp


@pytest.fixture
def erp_server() -> Iterator[TestErpServer]:
    server = TestErpServer()
    try:
        yield server
    finally:
        server.stop()
