"""The system that the connector of the test ERP speaks to."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.connectors.calls import Answer, Call, as_json, refuse
from tests.connectors.faults import FAULTS, Fault
from tests.connectors.rows import Row, order, order_of, vendor
from tests.http_peer import Peer, Received

API_KEY = "correct-horse-battery-staple"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


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
