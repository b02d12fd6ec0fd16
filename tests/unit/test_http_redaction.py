"""No secret leaves the door in a text."""

import base64
import json
import logging
import traceback
from urllib.parse import quote, quote_plus

import pytest
import requests

from core.errors import BadAnswerError, LineshaftError, TransientError
from core.http import CallRecord, Door, Request, connection_policy
from core.http.redaction import Redaction
from tests.http_peer import always, message, peer

LOCAL = connection_policy(["127.0.0.0/8"])
SECRET = 's3cr?t/"Ü key+='


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        *[base64.b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("a", "ab", "abc")],
        SECRET.encode().hex(),
    ],
)
def test_every_form_of_a_secret_is_cut(form):
    cleaned = Redaction([SECRET]).clean(f"before {form} after")
    assert "[secret]" in cleaned
    assert cleaned.startswith("before ") and cleaned.endswith(" after")
    # At the edges of base64 a few characters belong to the neighbours; they tell less than one byte.
    assert len(cleaned) <= len("before [secret] after") + 8
    assert "cr?t" not in cleaned and "cr%3" not in cleaned.upper()


@pytest.mark.parametrize("quoted", ["'", '"', "'\"/\\"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_secret_with_quotes_is_cut_however_often_it_was_quoted(quoted, depth):
    """An answer that holds its own request as a text, which holds a text."""
    secret = as_json = as_python = f"se{quoted}cr?t"
    for _ in range(depth):
        as_json, as_python = json.dumps({"sent": as_json}), repr({"sent": as_python})
    for text in (as_json, as_python):
        assert "[secret]" in Redaction([secret]).clean(text) and "cr?t" not in Redaction([secret]).clean(text)


def test_hostile_backslashes_cost_no_time():
    text = "\\" * 1_000_000
    assert Redaction(['"a/b']).clean(text) == text


def test_longer_secret_is_cut_before_the_shorter_one_inside_it():
    assert Redaction(["token", "token-123"]).clean("x token-123 y token z") == "x [secret] y [secret] z"


def test_short_secret_is_cut_only_where_it_stands_alone():
    assert Redaction(["abc", ""]).clean("abc, abcde, key=abc") == "[secret], abcde, key=[secret]"


@pytest.mark.parametrize("shown_in", ["body", "content type"])
def test_answer_that_echoes_a_secret_is_cut_in_the_error(shown_in):
    records: list[CallRecord] = []
    body = f"<a>{SECRET}</a>" if shown_in == "body" else "<a/>"
    content_type = "text/xml" if shown_in == "body" else f"text/{quote(SECRET, safe='')}"
    answer = always(message(body.encode(), content_type=content_type))
    with peer(answer) as server, Door(LOCAL, secrets=[SECRET], on_call=records.append) as door:
        response = door.send(Request("GET", server.url(), params={"key": SECRET}))
        with pytest.raises(BadAnswerError) as raised:
            response.json()
    assert "[secret]" in (raised.value.log_detail if shown_in == "body" else raised.value.detail)
    assert "cr?t" not in raised.value.log_detail
    assert records[0].url == server.url("/?key=[secret]")


def test_error_that_names_the_host_holds_no_secret():
    records: list[CallRecord] = []
    with Door(LOCAL, secrets=["s3cr3tname"], on_call=records.append) as door, pytest.raises(LineshaftError) as raised:
        door.send(Request("GET", "http://s3cr3tname.invalid:1/", params={"k": "s3cr3tname"}))
    shown = "".join(traceback.format_exception(raised.value)).replace(__file__, "")
    own_lines = [line for line in shown.splitlines() if "door.send(" not in line]
    assert "s3cr3tname" not in "\n".join(
        [*own_lines, raised.value.detail, raised.value.log_detail, str(raised.value.extra)]
    )
    assert "s3cr3tname" not in str(records)


def test_status_line_of_the_server_is_cleaned_in_the_cause():
    with peer(always(b"s3cr3tkey is wrong\r\n", stays=False)) as server, Door(LOCAL, secrets=["s3cr3tkey"]) as door:
        with pytest.raises(TransientError) as raised:
            door.send(Request("GET", server.url()))
    assert "s3cr3tkey" not in "".join(traceback.format_exception(raised.value))


def test_password_in_a_refused_address_is_shown_nowhere():
    records: list[CallRecord] = []
    with Door(LOCAL, on_call=records.append) as door, pytest.raises(LineshaftError) as raised:
        door.send(Request("GET", "http://me:mistyped@127.0.0.1/"))
    assert "mistyped" not in raised.value.detail + raised.value.log_detail + records[0].url


def test_nothing_is_logged_about_malformed_headers(caplog):
    caplog.set_level(logging.DEBUG)
    with (
        peer(always(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n", stays=False)) as server,
        Door(LOCAL) as door,
    ):
        door.send(Request("GET", server.url("/?key=hidden-key")))
    assert "hidden-key" not in caplog.text


def test_nothing_is_logged_about_the_path_of_a_call(caplog):
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.connection", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    with peer(always(message())) as server, Door(LOCAL) as door:
        door.send(Request("GET", server.url("/hidden-path?key=hidden-key"), headers={"X-Key": "hidden-header"}))
    assert "127.0.0.1" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
def test_error_of_requests_itself_becomes_ours_without_its_secret(monkeypatch, is_write):
    """None is known to arise; one that did would quote the URL."""

    def send(self, prepared, **options):
        raise requests.ConnectionError(ValueError(f"Max retries exceeded with url: {prepared.url}"), request=prepared)

    monkeypatch.setattr(requests.Session, "send", send)
    with Door(LOCAL, secrets=["s3cr3tkey"]) as door, pytest.raises(LineshaftError) as raised:
        door.send(Request("GET", "http://127.0.0.1:1/?key=s3cr3tkey", is_write=is_write))
    shown = "".join(traceback.format_exception(raised.value)) + raised.value.log_detail
    assert "?key=[secret]" in shown
    assert "s3cr3tkey" not in "\n".join(line for line in shown.splitlines() if "door.send(" not in line)


def test_proxy_password_is_a_secret_too():
    records: list[CallRecord] = []
    with Door(LOCAL, proxy="http://me:proxypass@127.0.0.1:1", on_call=records.append) as door:
        with pytest.raises(LineshaftError):
            door.send(Request("GET", "http://far.invalid/?x=proxypass"))
    assert records[0].url == "http://far.invalid/?x=[secret]"


def test_error_that_leaves_the_door_shows_no_secret_whoever_raised_it():
    """A connector's own bug: its text, what it holds, its notes and its causes."""

    def breaks() -> None:
        try:
            raise KeyError(f"no session for {SECRET}")
        except KeyError as error:
            bug = ValueError("no object", {"headers": [SECRET]}, (SECRET.encode(), 7))
            bug.add_note(f"sent {SECRET}")
            raise bug from error

    with pytest.raises(ValueError) as raised, Door(LOCAL, secrets=[SECRET]):
        breaks()
    told = "".join(traceback.format_exception(raised.value))
    assert "cr?t" not in told and told.count("[secret]") == 4
    assert raised.value.args[2] == (b"[secret]", 7)
