"""The bulk door: where it may go, what it sends, and how each delivery ends."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from core.errors import BugError
from core.http import connection_policy, webhook_policy, webhook_policy_in_test
from core.http.bulk import BulkDoor, BulkRequest, BulkResult, messages
from tests.hostile_urls import SCRIPTED, hostile_urls
from tests.http_peer import always, message, peer
from tests.unit.test_http_egress import scripted

LOCAL = webhook_policy_in_test(["127.0.0.0/8"])
AUTHORITY, OTHER_AUTHORITY = trustme.CA(), trustme.CA()
BODY = b'{"id": "evt_1"}'


def request(url, key="k", **options):
    return BulkRequest(key, url, {"content-type": "application/json", "webhook-id": "evt_1"}, BODY, **options)


def send(door, *requests):
    """The results of `requests`, by their keys."""
    for one in requests:
        door.submit(one)
    results: dict[object, BulkResult] = {}
    while len(results) < len(requests):
        found = door.finished(10)
        assert found, "nothing came within ten seconds"
        results |= {result.key: result for result in found}
    assert door.in_flight == 0
    return results


def send_one(door, url, **options):
    return send(door, request(url, **options))["k"]


@pytest.fixture
def door():
    with BulkDoor(LOCAL) as door:
        yield door


@pytest.fixture(scope="module")
def authority_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return str(path)


def tls_server(authority=AUTHORITY, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example", **options).configure_cert(context)
    return context


# Where it may go


@pytest.mark.parametrize("policy", [connection_policy(), webhook_policy_in_test()], ids=["connection", "webhook"])
def test_hostile_addresses_are_refused_without_a_connection(policy, monkeypatch):
    """All at once, each alone, and once more when libcurl has seen them before."""
    names = {name: ["127.0.0.1"] for name in ("localhost", "LOCALHOST", "localhost.", "public.example")}
    monkeypatch.setattr(socket, "getaddrinfo", scripted(SCRIPTED | names)[0])
    with peer(always(message())) as server, BulkDoor(policy, max_in_flight=200) as door:
        urls = hostile_urls(server.port)
        for _ in range(2):
            results = send(door, *(request(url, key) for key, url in enumerate(urls)))
            wrong = {
                urls[key]: result
                for key, result in results.items()
                if result.error_code not in ("EGRESS_DENIED", "URL_REFUSED", "NAME_NOT_FOUND")
            }
            assert wrong == {}
        assert server.accepted == 0


def test_live_webhooks_go_by_https_to_public_addresses_only():
    with peer(always(message())) as server, BulkDoor(webhook_policy()) as door:
        assert send_one(door, server.url()).error_code == "EGRESS_DENIED"
        assert send_one(door, server.url().replace("http:", "https:")).error_code == "EGRESS_DENIED"
    assert server.accepted == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]"])
def test_metadata_is_never_called_whatever_the_operator_allows(address):
    with BulkDoor(webhook_policy_in_test(["0.0.0.0/0", "::/0"])) as door:
        assert send_one(door, f"http://{address}/").error_code == "EGRESS_DENIED"


def test_rebinding_name_is_judged_anew_for_each_connection(door, monkeypatch):
    resolve, asked = scripted({"turns.example": ["127.0.0.1"]}, {"turns.example": ["169.254.169.254"]})
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(always(message(), stays=False)) as server:
        assert send_one(door, server.url(host="turns.example")).status == 200
        assert asked == ["turns.example"]
        server.wait_until_closed(1)
        assert send_one(door, server.url(host="turns.example")).error_code == "EGRESS_DENIED"
    assert (server.accepted, asked) == (1, ["turns.example"] * 2)


def test_name_that_moves_is_dialled_at_its_new_address(door, monkeypatch):
    """The address of the first lookup, where nothing listens, is not tried again."""
    resolve, _ = scripted({"moves.example": ["127.0.0.9"]}, {"moves.example": ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(always(message())) as server:
        assert send_one(door, server.url(host="moves.example")).error_code == "CONNECTION_REFUSED"
        assert send_one(door, server.url(host="moves.example")).status == 200


def test_second_address_is_tried_when_the_first_does_not_accept(door, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", scripted({"two.example": ["127.0.0.9", "127.0.0.1"]})[0])
    with peer(always(message())) as server:
        assert send_one(door, server.url(host="two.example")).status == 200


def test_one_lookup_serves_all_that_wait_for_it(door, monkeypatch):
    resolve, asked = scripted({"busy.example": ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(always(message())) as server:
        results = send(door, *(request(server.url(host="busy.example"), key) for key in range(20)))
    assert {result.status for result in results.values()} == {200}
    assert asked == ["busy.example"]


def test_hanging_lookup_holds_up_nobody_else_and_ends_with_the_time_limit(door, monkeypatch):
    release, real = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host, port, **options):
        return release.wait(20) and [] if host == "slow.example" else real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with peer(always(message())) as server:
            door.submit(request("http://slow.example/", "slow", timeout_seconds=0.5))
            results = send(door, request(server.url(), "fast"), request("http://slow.example/", "slow too"))
    finally:
        release.set()
    assert results["fast"].status == 200
    assert results["fast"].elapsed_ms < 300
    assert results["slow"].error_code == results["slow too"].error_code == "NAME_TIMED_OUT"


def test_unknown_name_is_said(door, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert send_one(door, "http://nowhere.example/").error_code == "NAME_NOT_FOUND"


def test_redirects_cookies_and_proxies_of_the_environment_are_ignored(monkeypatch):
    with peer(always(message())) as elsewhere, peer(always(message())) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url())
        answer = message(b"", "302 Found", location=elsewhere.url(), set_cookie="a=b")
        with peer(always(answer)) as server, BulkDoor(LOCAL) as door:
            assert [send_one(door, server.url()).status for _ in range(2)] == [302, 302]
        assert "cookie" not in server.received[1].headers
    assert elsewhere.accepted == proxy.accepted == 0


# What is sent


def test_message_arrives_as_it_was_given(door):
    with peer(always(message())) as server:
        headers = {"Content-Type": "application/json", "webhook-signature": "v1,a= v1,b=", "X-Empty": ""}
        body = bytes(range(256)) * 8
        send(door, BulkRequest(1, server.url("/a/../b%20c?d=%2F"), headers, body))
    received = server.received[0]
    assert (received.method, received.body) == ("POST", body)
    assert received.path == "/b%20c?d=%2F"
    assert received.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "Lineshaft",
        "accept": "*/*",
        "content-type": "application/json",
        "webhook-signature": "v1,a= v1,b=",
        "x-empty": "",
        "content-length": "2048",
    }


@pytest.mark.parametrize(
    ("name", "value"), [("X", "a\r\nY: b"), ("X: a", "b"), ("Host", "other"), ("Expect", "100-continue"), ("X", "€")]
)
def test_header_that_breaks_the_request_is_refused(door, name, value):
    with peer(always(message())) as server:
        result = send(door, BulkRequest("k", server.url(), {name: value}, BODY))["k"]
        assert (result.status, result.error_code) == (None, "HEADER_REFUSED")
    assert server.accepted == 0


def test_connections_are_kept_and_bodies_do_not_mix(door):
    with peer(always(message())) as server:
        for key in range(30):
            body = b"x" * (30 - key)
            send(door, BulkRequest(key, server.url(f"/{key}"), {}, body))
            assert (server.received[-1].path, server.received[-1].body) == (f"/{key}", body)
    assert server.accepted == 1


def test_many_are_in_flight_at_once_and_never_more_than_the_slots():
    everyone_is_here = threading.Barrier(8)

    def answer(request, sock):
        everyone_is_here.wait(10)
        sock.sendall(message())
        return True

    with peer(answer) as server, BulkDoor(LOCAL, max_in_flight=8) as door:
        for key in range(8):
            assert door.free_slots == 8 - key
            door.submit(request(server.url(), key))
        with pytest.raises(BugError):
            door.submit(request(server.url(), "one too many"))
        results: list[BulkResult] = []
        while len(results) < 8:
            results += door.finished(10)
        assert door.free_slots == 8
    assert {result.key for result in results} == set(range(8))
    assert all(result.is_taken for result in results)


def test_message_on_a_connection_gone_stale_is_sent_on_a_new_one(door):
    """The server closes after each answer without saying so; the closing may cross the next message."""
    with peer(always(message(), stays=False)) as server:
        for _ in range(20):
            assert send_one(door, server.url()).status == 200
    assert server.accepted == 20


@pytest.mark.parametrize("is_kept", [True, False], ids=["on a kept connection", "on a new one"])
def test_nothing_is_sent_when_the_time_is_over_before_the_first_byte(door, is_kept):
    """The process was frozen between the request and libcurl's first step."""
    with peer(always(message())) as server:
        if is_kept:
            send_one(door, server.url())
        door.submit(request(server.url(), "late"))
        (origin,) = door._origins.values()
        (job,) = origin.waiting or [lane.job for lane in door._lanes]
        job.begun -= 60
        (result,) = door.finished(10)
        assert (result.status, result.error_code) == (None, "CONNECT_TIMED_OUT")
        assert send_one(door, server.url("/next")).status == 200
    assert [one.path for one in server.received][is_kept:] == ["/next"]


def test_waiting_with_nothing_in_flight_returns_at_once(door):
    begun = time.monotonic()
    assert door.finished(30) == []
    assert time.monotonic() - begun < 5


def test_waiting_ends_in_time_without_a_result(door):
    release = threading.Event()
    with peer(lambda *_: release.wait(10) and False) as server:
        door.submit(request(server.url()))
        begun = time.monotonic()
        assert door.finished(0.2) == []
        assert 0.15 < time.monotonic() - begun < 2
        release.set()


def test_closing_drops_what_is_in_flight():
    release = threading.Event()
    with peer(lambda *_: release.wait(10) and False) as server:
        with BulkDoor(LOCAL) as door:
            door.submit(request(server.url()))
            door.finished(0.1)
        assert door.in_flight == 0
        release.set()


# How it ends


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "301 Moved", "410 Gone", "429 Too Many", "500 Oops"])
def test_any_status_is_told_with_the_beginning_of_the_answer(door, status):
    body = b"" if "204" in status else b'{"said": "so"}'
    with peer(always(message(body, status))) as server:
        result = send_one(door, server.url())
    assert (result.status, result.error_code, result.answer_excerpt) == (int(status[:3]), "", body.decode())
    assert result.is_taken is status.startswith("2")


def test_excerpt_is_short_and_holds_no_secrets(door):
    with peer(always(message(b'{"api_key": "abc123", "more": "' + b"x" * 9000 + b'"}'))) as server:
        result = send_one(door, server.url())
    assert "abc123" not in result.answer_excerpt
    assert 3000 < len(result.answer_excerpt) <= 4096


def test_excerpt_of_something_else_than_text_says_what_it_was(door):
    with peer(always(message(b"\x89PNG\xff\x00", content_type="image/png"))) as server:
        assert send_one(door, server.url()).answer_excerpt == "(6 bytes of image/png)"


@pytest.mark.parametrize("length", [True, False], ids=["announced", "endless"])
def test_large_answer_is_cut_and_its_connection_dropped(door, length):
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 99999999\r\n" if length else b"") + b"\r\n"
    sent = []

    def answer(request, sock):
        sock.sendall(head)
        for _ in range(1000):
            sock.sendall(b"x" * 65536)
            sent.append(1)
        return False

    with peer(answer) as server:
        result = send_one(door, server.url())
        server.wait_until_closed(1)
    assert (result.status, result.error_code) == (200, "")
    assert len(sent) < 1000
    assert result.answer_excerpt.startswith("xxx")


@pytest.mark.parametrize("padding", [0, 1])
def test_answer_of_the_cap_keeps_its_connection_and_one_byte_more_does_not(door, padding):
    with peer(always(message(b"x" * (messages.MAX_ANSWER_BYTES + padding)))) as server:
        assert send_one(door, server.url()).is_taken
        assert send_one(door, server.url()).is_taken
    assert server.accepted == 1 + padding


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("99999999", 99_999_999),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("in two days", 2 * 86_400),
    ],
)
def test_retry_after_is_told_in_seconds(door, value, seconds):
    if value == "in two days":
        value = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
    with peer(always(message(b"", "503 Busy", retry_after=value))) as server:
        assert send_one(door, server.url()).retry_after == (seconds and pytest.approx(seconds, abs=600))


def test_retry_after_of_one_answer_is_not_told_for_the_next(door):
    answers = iter([message(b"", "503 Busy", retry_after="7"), message(b"", "503 Busy")])

    def answer(request, sock):
        sock.sendall(next(answers))
        return True

    with peer(answer) as server:
        assert [send_one(door, server.url()).retry_after for _ in range(2)] == [7, None]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", None, "CONNECTION_CUT"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "NOT_HTTP"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1', 200, "ANSWER_CUT_OFF"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n[1,2]", 200, "ANSWER_CUT_OFF"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", 200, "ANSWER_CUT_OFF"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", 200, "HEADERS_TOO_LARGE"),
    ],
    ids=["nothing", "ssh", "short", "short chunk", "no chunk size", "huge header"],
)
def test_broken_answer_is_said(door, data, status, code):
    with peer(always(data, stays=False)) as server:
        result = send_one(door, server.url())
    assert (result.status, result.error_code, result.is_taken) == (status, code, False)


def test_dripping_answer_ends_at_the_total_time_limit_while_others_go_on(door):
    pace = threading.Event()

    def drip(request, sock):
        if request.path == "/fast":
            sock.sendall(message())
            return True
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while not pace.wait(0.02):
            sock.sendall(b"x")
        return False

    with peer(drip) as server:
        door.submit(request(server.url("/slow"), "slow", timeout_seconds=0.5))
        door.submit(request(server.url("/fast"), "fast"))
        fast = door.finished(5)
        slow = door.finished(5)
        pace.set()
    assert [(one.key, one.is_taken) for one in fast] == [("fast", True)]
    assert [(one.key, one.status, one.error_code, one.is_taken) for one in slow] == [
        ("slow", 200, "READ_TIMED_OUT", False)
    ]
    assert 450 < slow[0].elapsed_ms < 2000


def test_refused_connection_is_said(door):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert send_one(door, f"http://127.0.0.1:{port}/").error_code == "CONNECTION_REFUSED"


def test_hanging_handshake_is_a_connect_time_out(door):
    with silent() as port:
        result = send_one(door, f"https://127.0.0.1:{port}/", timeout_seconds=0.3)
    assert (result.status, result.error_code) == (None, "CONNECT_TIMED_OUT")


@contextmanager
def silent():
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


# TLS


@pytest.fixture
def name(monkeypatch):
    names = {"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    monkeypatch.setattr(socket, "getaddrinfo", scripted(names)[0])


def test_certificate_is_verified_by_name(name, authority_file):
    with peer(always(message()), tls_server()) as server, BulkDoor(LOCAL, ca_file=authority_file) as door:
        assert send_one(door, server.url(host="hooks.example")).is_taken
        assert send_one(door, server.url(host="other.example")).error_code == "CERTIFICATE_NAME_MISMATCH"
        assert send_one(door, server.url()).error_code == "CERTIFICATE_NAME_MISMATCH"
    assert len(server.received) == 1


def test_unknown_authority_is_refused(name, authority_file):
    with peer(always(message()), tls_server(OTHER_AUTHORITY)) as server:
        for ca_file in (None, authority_file):
            with BulkDoor(LOCAL, ca_file=ca_file) as door:
                assert send_one(door, server.url(host="hooks.example")).error_code == "CERTIFICATE_UNTRUSTED"
    assert server.received == []


def test_expired_certificate_is_refused(name, authority_file):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    context = tls_server(not_before=yesterday - timedelta(days=9), not_after=yesterday)
    with peer(always(message()), context) as server, BulkDoor(LOCAL, ca_file=authority_file) as door:
        assert send_one(door, server.url(host="hooks.example")).error_code == "CERTIFICATE_EXPIRED"


def test_old_protocol_is_refused(name, authority_file):
    context = tls_server()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with peer(always(message()), context) as server, BulkDoor(LOCAL, ca_file=authority_file) as door:
        assert send_one(door, server.url(host="hooks.example")).error_code == "TLS_FAILED"


def test_plain_server_behind_https_is_said(door):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_plain():
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        serving = threading.Thread(target=answer_in_plain)
        serving.start()
        result = send_one(door, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        serving.join(10)
    assert result.error_code == "TLS_FAILED"
