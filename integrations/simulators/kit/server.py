"""The network side: HTTP/1.1 with keep-alive, and the faults that only sockets can have."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from integrations.simulators.kit.control import PREFIX, Control
from integrations.simulators.kit.faults import Fault
from integrations.simulators.kit.messages import Answer, json_answer
from integrations.simulators.kit.system import System
from integrations.simulators.kit.tenant import Tenant

MAX_BODY_BYTES = 10 * 1024 * 1024
_PIECES = 20
_STOP_SECONDS = 5


class Server(ThreadingHTTPServer):
    """Serves one system; `stopping` ends every wait."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], system: System) -> None:
        self.system = system
        self.control = Control(system)
        self.stopping = threading.Event()
        self._open: dict[int, tuple[socket.socket, threading.Thread]] = {}
        self._numbers = itertools.count()
        super().__init__(address, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        number = next(self._numbers)
        self._open[number] = (request, threading.current_thread())
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(number, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news; anything else is a bug and shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close_connections(self) -> None:
        self.stopping.set()
        for sock, thread in list(self._open.values()):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join(_STOP_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulator"
    sys_version = ""

    def do_GET(self) -> None:
        if (body := self._read_body()) is None:
            return
        request = self.server.system.read(self.command, self.path, _Headers(self.headers.items()), body)
        if request.path.startswith(PREFIX):
            return self._send(self.server.control.answer(request), request.request_id)
        arrived = time.monotonic()
        try:
            answer, fault = self.server.system.handle(request)
        except Exception as error:
            # A bug of ours must not look like a fault that was asked for.
            traceback.print_exc()
            return self._send(json_answer(500, {"simulator_bug": repr(error)}), request.request_id)
        self._wait(self.server.system.settings["latency_ms"] / 1000 - (time.monotonic() - arrived))
        self._send_with(fault, answer, request.request_id)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = do_GET

    def _read_body(self) -> bytes | None:
        """None when the request was refused already."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Answer(411, b'{"error": "Content-Length required"}'), "")
            return None
        return self.rfile.read(int(length)) if length != "0" else b""

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.server.stopping.wait(seconds)

    def _send_with(self, fault: Fault | None, answer: Answer | None, request_id: str) -> None:
        kind = fault.kind if fault else ""
        if fault and kind in ("hang", "apply_then_hang"):
            self._wait(float(fault.parameters["seconds"]))
        if answer is None or kind in ("cut", "hang", "apply_then_hang"):
            return self._hang_up()
        if kind == "cut_answer":
            data = self._bytes_of(answer, request_id)
            # A body is cut in its middle, an answer without one before its status.
            self.wfile.write(data[: len(data) - max(1, len(answer.body) // 2)] if answer.body else data[:4])
            return self._hang_up()
        if fault and kind == "slow_body":
            return self._dribble(self._bytes_of(answer, request_id), len(answer.body), fault.parameters["seconds"])
        self._send(answer, request_id)

    def _send(self, answer: Answer, request_id: str) -> None:
        self.wfile.write(self._bytes_of(answer, request_id))

    def _dribble(self, data: bytes, body_length: int, seconds: float) -> None:
        head = len(data) - body_length
        self.wfile.write(data[:head])
        step = max(1, -(-body_length // _PIECES))
        starts = range(head, len(data), step)
        for start in starts:
            self._wait(float(seconds) / len(starts))
            self.wfile.write(data[start : start + step])

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _bytes_of(self, answer: Answer, request_id: str) -> bytes:
        """Head and body in one piece, so that they leave in one packet."""
        status = f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"
        lines = [status, f"Date: {self.date_time_string()}", f"X-Request-Id: {request_id}"]
        if answer.status != 204:
            lines += [f"Content-Type: {answer.content_type}", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {text}" for name, text in answer.headers.items()]
        if self.close_connection:
            lines.append("Connection: close")
        body = b"" if self.command == "HEAD" else answer.body
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the journal tells."""


class _Headers(dict[str, str]):
    """Header names in lower case."""

    def __init__(self, items: Any) -> None:
        super().__init__((name.lower(), text) for name, text in items)


class Simulator:
    """A running simulator: where it is, the key it takes, and its control plane."""

    def __init__(self, server: Server) -> None:
        self._server = server
        host, port = server.server_address[:2]
        self.origin = f"http://{host!s}:{port}"
        self.base_url = self.origin + server.system.tenant.prefix
        self.control_url = self.origin + PREFIX
        self.api_key = server.system.api_key
        self.control = server.control

    @property
    def name(self) -> str:
        return self._server.system.tenant.name


@contextmanager
def serving(tenant: Tenant, *, host: str = "127.0.0.1", port: int = 0, **seeding: Any) -> Iterator[Simulator]:
    """Run a tenant in threads of this process; port 0 takes a free one."""
    server = Server((host, port), System(tenant, **seeding))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Simulator(server)
    finally:
        server.shutdown()
        server.close_connections()
        server.system.hooks.close()
        server.server_close()
        thread.join(_STOP_SECONDS)
