"""A small HTTP server under the test's full control: what each connection answers is a function of the test."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


@dataclass
class Received:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection_number: int


# Gets a request and its socket, sends bytes, returns whether the connection stays open.
Answering = Callable[[Received, socket.socket], bool]


@dataclass
class Peer:
    """Listens on a free loopback port and counts what comes."""

    answer: Answering
    tls: ssl.SSLContext | None = None
    accepted: int = 0
    received: list[Received] = field(default_factory=list)
    handshake_errors: list[BaseException] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str = LOOPBACK) -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def wait_until_closed(self, connection_number: int) -> None:
        """Return when that connection has been closed, from either side."""
        self._threads[connection_number].join(10)
        assert not self._threads[connection_number].is_alive()

    def stop(self) -> None:
        self.stopping.set()
        # Wakes the accept, which close alone does not do.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.accepted))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError), sock:
            if not self.tls:
                return self._converse(sock, number)
            try:
                wrapped = self.tls.wrap_socket(sock, server_side=True)
            except OSError as error:
                self.handshake_errors.append(error)
                return None
            with wrapped:
                return self._converse(wrapped, number)

    def _converse(self, sock: socket.socket, number: int) -> None:
        stays = True
        while stays and (request := _read(sock, number)):
            self.received.append(request)
            stays = self.answer(request, sock)


def _read(sock: socket.socket, number: int) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := sock.recv(65536)):
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        body += sock.recv(65536)
    method, path, _ = first.split(" ")
    return Received(method, path, headers, body, number)


@contextmanager
def peer(answer: Answering, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    server = Peer(answer, tls)
    try:
        yield server
    finally:
        server.stop()


def message(body: bytes = b'{"ok": true}', status: str = "200 OK", **headers: str) -> bytes:
    """A well-formed answer; `content_type="text/html"` becomes a Content-Type header."""
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(data: bytes, *, stays: bool = True) -> Answering:
    def answer(request: Received, sock: socket.socket) -> bool:
        sock.sendall(data)
        return stays

    return answer


def zipped(plain: bytes) -> bytes:
    return gzip.compress(plain, mtime=0)
