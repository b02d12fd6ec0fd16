"""What the door sends, reads and remembers."""

from datetime import UTC

import pytest

from core.errors import BadAnswerError, BugError, ConfigError, TimeoutUnknownError, TransientError
from core.http import CallRecord, Door, Request
from core.http.urls import parse_target
from tests.door_calls import LOCAL, call, code_of, door  # noqa: F401
from tests.http_peer import always, message, peer, zipped


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
