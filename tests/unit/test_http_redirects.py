"""Redirects: what the door follows, refuses and never sends on."""

import time

import pytest

from core.errors import ConfigError, TimeoutUnknownError
from tests.door_calls import MIB, call, door  # noqa: F401
from tests.http_peer import always, message, peer


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
