"""Connections the door keeps: used again, closed, and never trusted with a write that may be lost."""

import socket
import threading

import pytest

from core.errors import TimeoutUnknownError, TransientError
from core.http import Request
from core.http.kept import MAX_KEPT
from tests.door_calls import call, door  # noqa: F401
from tests.http_peer import always, message, peer, zipped


def test_connection_is_kept_and_used_again(door):
    with peer(always(message(zipped(b"[1]"), content_encoding="gzip"))) as server:
        assert [call(door, server, method).json() for method in ("GET", "POST", "GET")] == [[1]] * 3
        assert server.accepted == 1
        door.close()
        call(door, server)
        assert server.accepted == 2


def test_chunked_answer_is_read_whole_and_its_connection_kept(door):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    with peer(always(chunked)) as server:
        assert call(door, server).json() == [1, 2]
        assert call(door, server).json() == [1, 2]
    assert server.accepted == 1


def closes_after_first_answer(request, sock):
    """Answers, then cuts the kept connection as soon as the next request has arrived on it."""
    if request.connection_number == 1 and request.path == "/second":
        return False
    sock.sendall(message())
    return True


def test_read_on_a_connection_gone_stale_is_sent_again(door):
    with peer(closes_after_first_answer) as server:
        call(door, server)
        assert call(door, server, path="/second").status == 200
    assert [each.connection_number for each in server.received] == [1, 1, 2]


def test_write_on_a_connection_gone_stale_is_never_sent_again(door):
    with peer(closes_after_first_answer) as server:
        call(door, server)
        with pytest.raises(TimeoutUnknownError):
            call(door, server, "POST", "/second", is_write=True)
    assert len(server.received) == 2


def test_write_after_the_server_closed_the_kept_connection_takes_a_new_one(door):
    with peer(always(message(), stays=False)) as server:
        call(door, server)
        server.wait_until_closed(1)
        assert call(door, server, "POST", is_write=True).status == 200
    assert server.accepted == 2


def test_write_does_not_use_a_connection_that_idled(door, monkeypatch):
    monkeypatch.setattr("core.http.kept.MAX_IDLE_SECONDS_FOR_WRITE", -1.0)
    with peer(always(message())) as server:
        call(door, server)
        call(door, server, "POST", is_write=True)
    assert server.accepted == 2


def test_write_after_a_slow_answer_uses_its_connection(door, monkeypatch):
    """Idling begins with the last byte of the answer, not with the waiting for it."""
    monkeypatch.setattr("core.http.kept.MAX_IDLE_SECONDS_FOR_WRITE", 0.5)
    slowly = threading.Event()

    def answer(request, sock):
        slowly.wait(0.6 if request.method == "GET" else 0)
        sock.sendall(message())
        return True

    with peer(answer) as server:
        call(door, server)
        call(door, server, "POST", is_write=True)
    assert server.accepted == 1


def test_read_does_not_use_a_connection_that_idled_long(door, monkeypatch):
    monkeypatch.setattr("core.http.kept.MAX_IDLE_SECONDS", -1.0)
    with peer(always(message())) as server:
        call(door, server)
        call(door, server)
        server.wait_until_closed(1)
    assert server.accepted == 2


def test_connection_of_the_origin_unused_for_longest_is_closed(door, monkeypatch):
    def everyone_is_here(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", everyone_is_here)
    with peer(always(message())) as server:
        for number in range(MAX_KEPT + 1):
            door.send(Request("GET", server.url(host=f"h{number}.example"), total_timeout=5))
        server.wait_until_closed(1)
        for number, accepted in ((MAX_KEPT, MAX_KEPT + 1), (1, MAX_KEPT + 1), (0, MAX_KEPT + 2)):
            door.send(Request("GET", server.url(host=f"h{number}.example"), total_timeout=5))
            assert server.accepted == accepted


def test_door_is_used_from_another_thread(door):
    with peer(always(message())) as server:
        call(door, server)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call(door, server).status))
        thread.start()
        thread.join(5)
    assert answers == [200]
    assert server.accepted == 1


def test_second_thread_waits_within_its_own_time_limit(door):
    arrived, release = threading.Event(), threading.Event()

    def answer(request, sock):
        arrived.set()
        release.wait(10)
        sock.sendall(message())
        return True

    with peer(answer) as server:
        thread = threading.Thread(target=call, args=(door, server))
        thread.start()
        assert arrived.wait(5)
        with pytest.raises(TransientError) as raised:
            call(door, server, total_timeout=0.1)
        release.set()
        thread.join(5)
    assert raised.value.code == "WAITED_TOO_LONG"
