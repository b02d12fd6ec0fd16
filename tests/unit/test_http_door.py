"""What the door sends, reads, limits and remembers."""

import socket
import threading
import time
from datetime import UTC

import pytest

from core.errors import BadAnswerError, BugError, ConfigError, LineshaftError, TimeoutUnknownError, TransientError
from core.http import CallRecord, Door, Request, connection_policy
from core.http.kept import MAX_KEPT
from core.http.sockets import MAX_HEADER_BYTES
from core.http.urls import parse_target
from tests.http_peer import Answering, always, message, peer, zipped

LOCAL = connection_policy(["127.0.0.0/8"])
MIB = 1024 * 1024


@pytest.fixture
def door():
    with Door(LOCAL) as door:
        yield door


def call(door, server, method="GET", path="/", **options):
    return door.send(Request(method, server.url(path), **{"total_timeout": 5} | options))


def code_of(error: LineshaftError) -> str | None:
    """What went wrong; for a write of unknown outcome that stands in `source`."""
    return error.source.code if isinstance(error, TimeoutUnknownError) and error.source else error.code


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


def test_parameters_headers_and_json_are_sent(door):
    with peer(always(message())) as server:
        params = {"$filter": "name eq 'a b&c'", "all": True, "none": None, "ids": [1, 2]}
        call(door, server, "POST", "/x?k=v", params=params, headers={"X-Key": "1"}, json={"a": "ä"})
    received = server.received[0]
    assert received.path == "/x?k=v&$filter=name%20eq%20%27a%20b%26c%27&all=true&ids=1&ids=2"
    assert received.body == '{"a":"ä"}'.encode()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-key"] == "1"
    assert received.headers["user-agent"] == "Lineshaft"
    assert received.headers["accept-encoding"] == "gzip"


def test_json_null_and_plain_content_are_sent_as_they_are(door):
    with peer(always(message())) as server:
        call(door, server, "PUT", json=None)
        call(door, server, "PUT", content=b"<a/>", headers={"content-type": "text/xml", "accept": "text/xml"})
        call(door, server, "POST")
    assert [each.body for each in server.received] == [b"null", b"<a/>", b""]
    assert server.received[1].headers["content-type"] == server.received[1].headers["accept"] == "text/xml"


def test_empty_content_has_a_length_and_no_chunks(door):
    with peer(always(message())) as server:
        call(door, server, "POST", content=b"")
    assert server.received[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in server.received[0].headers


@pytest.mark.parametrize(
    "path",
    ["/a%2Fb/%7eu;v=1,2", "/x?", "/x?q=%20+'$|{}[]&&a=%zz", "//x//y?u=http://a/../b", "/ä?ö=%C3%A4", "/%41/../c"],
)
@pytest.mark.parametrize("params", [None, {"q": "a/b ~%41'", "$top": "5"}])
def test_path_leaves_as_it_was_judged(door, path, params):
    """Neither requests nor urllib3 may quote anew what was parsed once."""
    with peer(always(message())) as server:
        response = call(door, server, path=path, params=params)
        judged = parse_target(server.url(path), params)
    assert server.received[0].path == judged.path
    assert response.url == judged.url


@pytest.mark.parametrize(
    "status", ["204 No Content", "404 Not Found", "429 Too Many Requests", "503 Service Unavailable"]
)
def test_any_status_is_answered_not_raised(door, status):
    data = (
        message(b"", status, retry_after="7")
        if status[:3] != "204"
        else b"HTTP/1.1 204 No Content\r\nRetry-After: 7\r\n\r\n"
    )
    with peer(always(data)) as server:
        response = call(door, server)
    assert response.status == int(status[:3])
    assert response.headers["RETRY-after"] == "7"
    assert response.elapsed_seconds >= 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "elsewhere"),
        ("content-LENGTH", "9"),
        ("Transfer-Encoding", "chunked"),
        ("X-Key", "a\r\nX-Injected: 1"),
        ("X-Key", "key\n"),
        ("X-Key", "snow☃"),
        ("X Key", "1"),
        ("X-Key:", "1"),
    ],
)
def test_header_that_breaks_the_request_is_refused_without_showing_its_value(door, name, value):
    with peer(always(message())) as server, pytest.raises(ConfigError) as raised:
        call(door, server, headers={name: value})
    assert raised.value.code == "HEADER_REFUSED"
    assert value not in raised.value.detail
    assert server.accepted == 0


def test_request_with_two_bodies_is_a_bug(door):
    with peer(always(message())) as server, pytest.raises(BugError):
        call(door, server, json={}, content=b"x")


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


def test_environment_proxies_netrc_and_cookies_are_ignored(door, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with peer(always(message(set_cookie="session=1"))) as server:
        call(door, server)
        call(door, server)
    assert "authorization" not in server.received[1].headers
    assert "cookie" not in server.received[1].headers
    assert not door._client._session.cookies


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


# Broken answers

GZIPPED = zipped(b'{"a": "' + b"".join(b"%d" % n for n in range(9999)) + b'"}')


@pytest.mark.parametrize(
    "data",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n[1,2]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        message(GZIPPED[:-20], content_encoding="gzip"),
        message(GZIPPED[:-6] + b"\0\0\0\0\0\0", content_encoding="gzip"),
        message(b'{"not": "zipped"}', content_encoding="gzip"),
    ],
    ids=["short", "no last chunk", "short chunk", "no chunk size", "gzip without end", "gzip checksum", "not gzip"],
)
@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
def test_cut_off_answer_is_said(door, data, is_write):
    with peer(always(data, stays=False)) as server:
        with pytest.raises(TimeoutUnknownError if is_write else BadAnswerError, match="cut off") as raised:
            call(door, server, "POST", is_write=is_write)
    assert code_of(raised.value) == "ANSWER_CUT_OFF"
    assert raised.value.source is None or raised.value.source.status == 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "CONNECTION_CUT"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "NOT_HTTP"),
        (message(content_encoding="br"), "UNKNOWN_ENCODING"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "NOT_HTTP"),
    ],
    ids=["nothing", "ssh", "brotli", "many headers"],
)
@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
def test_answer_that_is_none_is_said(door, data, code, is_write):
    with peer(always(data, stays=False)) as server:
        with pytest.raises(TimeoutUnknownError if is_write else TransientError) as raised:
            call(door, server, is_write=is_write)
    assert code_of(raised.value) == code


def test_several_gzip_members_and_padding_are_read(door):
    data = message(zipped(b"[1,") + zipped(b"2]") + b"\0\0", content_encoding="gzip")
    with peer(always(data)) as server:
        assert call(door, server).json() == [1, 2]


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "text/html; charset=utf-8", "got HTML"),
        (b"<html>", "application/json", "got HTML"),
        (b"<a/>", "text/xml", "got text/xml"),
        (b'{"a": ', "application/json", "got application/json"),
        (b" ", "application/json", "got an empty answer"),
    ],
)
def test_answer_without_json_says_what_came_instead(door, body, content_type, said):
    with peer(always(message(body, content_type=content_type))) as server:
        response = call(door, server)
    with pytest.raises(BadAnswerError, match=said) as raised:
        response.json()
    assert raised.value.code == "NOT_JSON"


# Redirects


def redirecting(location, status="302 Found", *, until="/end"):
    def answer(request, sock):
        to = location(request) if callable(location) else location
        sock.sendall(message() if request.path == until else message(b"", status, location=to))
        return True

    return answer


@pytest.mark.parametrize("location", ["/end", "end", "http://127.0.0.1:{port}/end"])
def test_redirect_on_the_same_server_is_followed_with_credentials(door, location):
    with peer(redirecting(lambda request: location.format(port=request.headers["host"].split(":")[1]))) as server:
        response = call(door, server, headers={"Authorization": "Bearer x"})
    assert response.url == server.url("/end")
    assert [each.headers["authorization"] for each in server.received] == ["Bearer x"] * 2


@pytest.mark.parametrize(
    ("status", "method", "body"), [("303 See Other", "GET", b""), ("307 T", "POST", b"[1]"), ("301 M", "POST", b"[1]")]
)
def test_redirected_search_by_post_keeps_its_body_unless_told_to_see_other(door, status, method, body):
    with peer(redirecting("/end", status)) as server:
        call(door, server, "POST", json=[1])
    assert (server.received[1].method, server.received[1].body) == (method, body)
    assert ("content-type" in server.received[1].headers) == (method == "POST")


@pytest.mark.parametrize(
    "location",
    [
        "http://other.example/end",
        "http://127.0.0.2:{port}/end",
        "http://127.0.0.1:1/end",
        "//evil.example/",
        "https://evil.example/",
    ],
)
def test_redirect_to_elsewhere_is_refused_by_name_and_sends_nothing_there(door, location):
    with peer(redirecting(lambda request: location.format(port=request.headers["host"].split(":")[1]))) as server:
        with pytest.raises(ConfigError) as raised:
            call(door, server, headers={"Authorization": "Bearer x"})
        assert server.accepted == 1
    assert raised.value.code == "REDIRECT_REFUSED"
    assert location.split("/")[2].split(":")[0] in raised.value.detail


@pytest.mark.parametrize("location", ["http://user:pw@127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:0/"])
def test_redirect_to_a_hostile_address_is_refused(door, location):
    with peer(redirecting(location)) as server, pytest.raises(ConfigError) as raised:
        call(door, server)
    assert raised.value.code == "URL_REFUSED"


def test_body_of_a_redirect_is_not_waited_for(door):
    """Requests by itself reads it whole, even when told to follow nothing."""

    def answer(request, sock):
        sock.sendall(
            message() if request.path == "/end" else message(b"", "302 Found", location="/end", content_length="9")
        )
        return True

    begun = time.monotonic()
    with peer(answer) as server:
        assert call(door, server).url == server.url("/end")
        server.wait_until_closed(1)
    assert time.monotonic() - begun < 4


def test_head_of_something_large_is_answered(door):
    with peer(always(message(b"", content_length=str(10 * MIB)))) as server:
        assert call(door, server, "HEAD", max_bytes=MIB).body == b""


@pytest.mark.parametrize("status", ["301 M", "302 F", "307 T", "308 P"])
def test_redirected_write_is_refused(door, status):
    with (
        peer(redirecting("/end", status)) as server,
        pytest.raises(ConfigError, match="a write is redirected") as raised,
    ):
        call(door, server, "POST", is_write=True)
    assert raised.value.code == "REDIRECT_REFUSED"
    assert len(server.received) == 1


def test_write_answered_with_see_other_may_have_been_done(door):
    with peer(redirecting("/end", "303 See Other")) as server, pytest.raises(TimeoutUnknownError, match="303"):
        call(door, server, "POST", is_write=True)
    assert len(server.received) == 1


def test_circle_of_redirects_ends(door):
    with peer(redirecting("/again")) as server, pytest.raises(ConfigError, match="more than 5 times"):
        call(door, server)
    assert len(server.received) == 6


def test_not_modified_is_no_redirect(door):
    with peer(always(b"HTTP/1.1 304 Not Modified\r\nLocation: http://other.example/\r\n\r\n")) as server:
        assert call(door, server).status == 304


# Records


def test_call_is_recorded_with_its_sizes():
    records: list[CallRecord] = []
    with peer(always(message(b"x" * 1000))) as server, Door(LOCAL, on_call=records.append) as door:
        call(door, server, "POST", "/a", params={"b": 1}, json={})
    record = records[0]
    assert (record.method, record.url, record.status, record.error_code) == ("POST", server.url("/a?b=1"), 200, "")
    assert record.started_at.tzinfo is UTC
    assert record.elapsed_ms > 0
    assert 100 < record.request_bytes < 300
    assert 1000 < record.response_bytes < 1200


def test_failed_call_is_recorded_with_its_code():
    records: list[CallRecord] = []
    with Door(LOCAL, on_call=records.append) as door, pytest.raises(ConfigError):
        door.send(Request("GET", "http://10.0.0.1/"))
    assert (records[0].status, records[0].error_code, records[0].response_bytes) == (None, "EGRESS_DENIED", 0)
