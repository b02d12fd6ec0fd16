"""A relay between a connector and its system: passes calls on, remembers them, and spoils answers when told to."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.http_peer import Peer, Received, message

HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})
SLOW_SECONDS = 30.0

# What is sent in place of the answer. `truncated` and `slow` are made of the true answer.
FAULTS: dict[str, bytes] = {
    "http_400": message(b'{"message": "no"}', "400 Bad Request"),
    "http_401": message(b"", "401 Unauthorized"),
    "http_403": message(b"<h1>Forbidden</h1>", "403 Forbidden", content_type="text/html"),
    "http_404": message(b"<h1>Not found</h1>", "404 Not Found", content_type="text/html"),
    "http_409": message(b'{"message": "changed"}', "409 Conflict"),
    "http_429": message(b"", "429 Too Many Requests", retry_after="7"),
    "http_500": message(b"<h1>Error</h1>", "500 Internal Server Error", content_type="text/html"),
    "http_503": message(b"", "503 Service Unavailable"),
    "html": message(b"<!DOCTYPE html><html>Sign in</html>", content_type="text/html"),
    "empty": message(b""),
    "other_json": message(b"[1, 2, 3]"),
    "cut_json": message(b'{"id": 1, "result": [{"id'),
}


@dataclass
class Relay:
    """`base_url` stands in for the system's. `fault` spoils the next `times` answers (None: all) after `skip`;
    the answers' headers named in `hidden` (lower case) are left out."""

    target: str
    received: list[Received] = field(default_factory=list)
    fault: str = ""
    times: int | None = None
    skip: int = 0
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._peer = Peer(self._answer)
        self.base_url = self._peer.url("").rstrip("/")

    def stop(self) -> None:
        self._peer.stop()

    def fail(self, fault: str, *, times: int | None = None, skip: int = 0) -> None:
        self.fault, self.times, self.skip = fault, times, skip

    def sent(self) -> str:
        """Everything asked for so far, as one text."""
        return "\n".join(f"{call.path}\n{call.body.decode(errors='replace')}" for call in self.received)

    def _answer(self, request: Received, sock: socket.socket) -> bool:
        self.received.append(request)
        fault = self._take()
        if fault == "slow":
            self._peer.stopping.wait(SLOW_SECONDS)
            return False
        if fault in FAULTS:
            sock.sendall(FAULTS[fault])
            return True
        whole = self._forward(request)
        sock.sendall(whole[: len(whole) // 2] if fault == "truncated" else whole)
        return fault != "truncated"

    def _take(self) -> str:
        if not self.fault:
            return ""
        if self.skip:
            self.skip -= 1
            return ""
        fault = self.fault
        if self.times is not None:
            self.times -= 1
            if not self.times:
                self.fault = ""
        return fault

    def _forward(self, request: Received) -> bytes:
        parts = urlsplit(self.target)
        upstream = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        try:
            upstream.request(request.method, parts.path + request.path, request.body or None, headers)
            answer = upstream.getresponse()
            body = answer.read()
        finally:
            upstream.close()
        dropped = HOP_BY_HOP | self.hidden
        kept = [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in dropped]
        head = [f"HTTP/1.1 {answer.status} {answer.reason}", *kept, f"Content-Length: {len(body)}"]
        return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    found = Relay(target)
    try:
        yield found
    finally:
        found.stop()
