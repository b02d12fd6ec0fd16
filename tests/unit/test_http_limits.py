"""Limits of the door: time, decompressed size, headers."""

import socket
import threading
import time

import pytest

from core.errors import BadAnswerError, TimeoutUnknownError, TransientError
from core.http import Request
from core.http.sockets import MAX_HEADER_BYTES
from tests.door_calls import MIB, call, code_of, door  # noqa: F401
from tests.http_peer import Answering, always, message, peer, zipped


def drip(data: bytes, *, first: bytes = b"") -> Answering:
    """Send `first`, then `data` one byte at a time, 20 ms apart."""

    def answer(request, sock):
        sock.sendall(first)
        for byte in data:
            sock.sendall(bytes([byte]))
            if server_stopping.wait(0.02):
                return False
        return False

    server_stopping = threading.Event()
    return answer


# Time


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (message(b"x" * 900), b""),
        (b"x" * 900, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"),
        (b"x" * 900, b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"1\r\nx\r\n" * 200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, b""),
    ],
    ids=["headers", "body", "body without length", "chunks", "continues"],
)
@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
def test_dripping_answer_ends_at_the_total_time_limit(door, data, first, is_write):
    begun = time.monotonic()
    with peer(drip(data, first=first)) as server:
        with pytest.raises(TimeoutUnknownError if is_write else TransientError) as raised:
            call(door, server, "POST", total_timeout=0.4, is_write=is_write)
        elapsed = time.monotonic() - begun
    assert 0.35 < elapsed < 2
    code = code_of(raised.value)
    assert code == "READ_TIMED_OUT"
    assert raised.value.__cause__ is not None


def test_server_that_reads_nothing_ends_at_the_total_time_limit(door):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutUnknownError):
            door.send(Request("POST", url, content=bytes(64 * MIB), total_timeout=0.4, is_write=True))


def test_not_after_in_the_past_sends_nothing(door):
    with peer(always(message())) as server:
        with pytest.raises(TransientError) as raised:
            call(door, server, "POST", is_write=True, not_after=time.monotonic())
        assert call(door, server, not_after=time.monotonic() + 60).status == 200
    assert raised.value.code == "NOT_AFTER_PASSED"
    assert len(server.received) == 1


def test_not_after_that_passes_while_connecting_sends_nothing(door, monkeypatch):
    """Connecting takes time, so the check is made after it."""
    real, late = socket.socket.connect, time.monotonic() + 0.3

    def slow(self, address):
        real(self, address)
        assert not threading.Event().wait(max(0, late - time.monotonic()))

    monkeypatch.setattr("core.http.sockets.TimedSocket.connect", slow, raising=False)
    with peer(always(message())) as server:
        with pytest.raises(TransientError) as raised:
            call(door, server, "POST", is_write=True, not_after=late)
        assert server.accepted == 1
    assert raised.value.code == "NOT_AFTER_PASSED"
    assert server.received == []


# Size


def test_gzip_bomb_stops_at_the_cap(door):
    bomb = message(zipped(bytes(300 * MIB)), content_encoding="gzip")
    assert len(bomb) < MIB
    with peer(always(bomb)) as server, pytest.raises(BadAnswerError, match="larger than 1 MiB") as raised:
        call(door, server, max_bytes=MIB)
    assert raised.value.code == "ANSWER_TOO_LARGE"


@pytest.mark.parametrize(
    "data",
    [
        message(bytes(2 * MIB)),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2 * MIB),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + bytes(65536) + b"\r\n") * 32
        + b"0\r\n\r\n",
    ],
    ids=["announced", "without length", "chunked"],
)
def test_large_answer_stops_at_the_cap(door, data):
    with peer(always(data, stays=False)) as server, pytest.raises(BadAnswerError) as raised:
        call(door, server, max_bytes=MIB)
    assert raised.value.code == "ANSWER_TOO_LARGE"


def test_answer_of_exactly_the_cap_is_read(door):
    with peer(always(message(zipped(b"x" * MIB), content_encoding="gzip"))) as server:
        assert len(call(door, server, max_bytes=MIB).body) == MIB


@pytest.mark.parametrize(
    "headers",
    [b"X-Long: " + b"y" * 2 * MAX_HEADER_BYTES, b"\r\n".join(b"X-%d: " % n + b"y" * 10_000 for n in range(60))],
    ids=["one line", "many lines"],
)
def test_huge_headers_are_refused(door, headers):
    with peer(always(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n")) as server, pytest.raises(BadAnswerError):
        call(door, server)


def test_large_headers_before_a_large_body_are_read(door):
    """What is read ahead of the body does not count as headers."""
    lines = b"\r\n".join(b"X-%d: " % n + b"y" * 60_000 for n in range(2))
    body = bytes(MIB)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)

    def answer(request, sock):
        sock.sendall(head)
        threading.Event().wait(0.05)  # so that the pieces read are not cut just where the headers end
        sock.sendall(lines + b"\r\n\r\n" + body)
        return True

    with peer(answer) as server:
        assert call(door, server).body == body
