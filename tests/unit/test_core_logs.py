"""Log lines carry their request, and no secret, whichever way they come."""

import json
import logging
import re

import pytest
import structlog
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from core.logs import LineHandler, configure
from core.middleware import RequestIdMiddleware
from core.redaction import is_secret_key, redact, redact_text

SECRET = "hunter2hunter2"  # no shape of its own: only its key or its surroundings give it away


@pytest.fixture
def lines(capsys):
    """Set up logging towards the captured stderr; the fixture reads what was written."""
    before, said = logging.getLogger().level, structlog.get_config()
    configure("json", "INFO")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LineHandler)]:
        root.removeHandler(handler)
    root.setLevel(before)
    structlog.configure(**said)


def test_structlog_and_stdlib_lines_look_alike(lines):
    structlog.contextvars.bind_contextvars(request_id="req_1", run_id="run_1")
    structlog.get_logger("ours").info("thing.done", count=3)
    logging.getLogger("theirs").warning("took %d s", 5, extra={"rows": 2})
    ours, theirs = lines()
    for line in (ours, theirs):
        assert (line["request_id"], line["run_id"]) == ("req_1", "run_1")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["timestamp"])
    assert (ours["event"], ours["level"], ours["logger"], ours["count"]) == ("thing.done", "info", "ours", 3)
    assert (theirs["event"], theirs["level"], theirs["logger"], theirs["rows"]) == ("took 5 s", "warning", "theirs", 2)


def test_configuring_twice_writes_once_and_the_level_is_kept(lines):
    configure("json", "WARNING")
    structlog.get_logger().info("not shown")
    logging.getLogger("theirs").info("not shown")
    logging.getLogger("django").warning("shown")
    assert [line["event"] for line in lines()] == ["shown"]


def test_secrets_are_cut_from_keys_texts_nested_values_and_tracebacks(lines):
    log = structlog.get_logger()
    log.info("by.key", password=SECRET, config={"apiKey": SECRET, "site": "A"}, rows=[{"Set-Cookie": SECRET}])
    log.info(f"Authorization: Bearer {SECRET}", url=f"https://me:{SECRET}@erp.test/x?access_token={SECRET}&page=2")
    logging.getLogger("theirs").warning("token %s", f"lsh_live_{SECRET}")
    try:
        raise ValueError(f"GET https://x.test/?api_key={SECRET} refused")
    except ValueError:
        log.exception("failed")
        logging.getLogger("theirs").exception("failed too")
    written = lines()
    assert len(written) == 5
    assert SECRET not in json.dumps(written)
    assert written[0]["config"] == {"apiKey": "[cut]", "site": "A"}
    assert written[1]["url"] == "https://[cut]@erp.test/x?access_token=[cut]&page=2"
    assert all("ValueError: GET https://x.test/?api_key=[cut] refused" in line["exception"] for line in written[3:])


def test_console_lines_are_cut_too(lines, capsys):
    configure("console", "INFO")
    local_value = SECRET
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger().exception("failed", token=local_value)
    written = capsys.readouterr().err
    assert "boom" in written and SECRET not in written


def test_a_line_is_written_whatever_it_holds(lines):
    structlog.get_logger().info("odd", text="\ud800", number=2**100, thing=object(), keys={1: {"password": SECRET}})
    (line,) = lines()
    assert (line["event"], line["text"]) == ("odd", "\\ud800") and SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    "key",
    ["password", "DB_PASSWORD", "clientSecret", "client-secret", "access_token", "Authorization", "X-Api-Key", "apikey",
     "credentials", "Set-Cookie", "session_id", "private_key", "webhook-signature", "pwd", "TOKEN_PEPPER",
     "encryption_keys", "refreshTokens"],
)  # fmt: skip
def test_keys_that_name_secrets(key):
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    ["token_id", "credential_kind", "compass", "passed", "tokenizer", "event", "idempotency_key", "key", "secretary"],
)
def test_keys_that_do_not(key):
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Bearer {SECRET}", "Bearer [cut]"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic [cut]"),
        (f"headers={{'Authorization': 'ApiKey {SECRET}', 'Accept': 'x'}}", "headers={'Authorization': '[cut]', 'Accept': 'x'}"),
        (f'{{"client_secret": "{SECRET}", "site": "A"}}', '{"client_secret": "[cut]", "site": "A"}'),
        (f"GET /link/{SECRET}/done", "GET /link/[cut]/done"),
        ("POST /link/exchange", "POST /link/exchange"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}", "[cut]"),
        (f"lsh_test_abc_{SECRET}.", "lsh_test_[cut]."),
        (f"/callback?state=1&code={SECRET}", "/callback?state=1&code=[cut]"),
        ("Use Bearer authentication; the token expired yesterday.", "Use Bearer authentication; the token expired yesterday."),
        ("mail me@plant.test about https://erp.test/a@b", "mail me@plant.test about https://erp.test/a@b"),
    ],
)  # fmt: skip
def test_secrets_by_shape(text, shown):
    assert redact_text(text) == shown


PLAIN = st.text(st.characters(codec="ascii"), max_size=20)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner), max_leaves=8), PLAIN)
def test_a_secret_is_cut_wherever_it_is_nested(around, text):
    value = {"a": [around, {"password": SECRET}, f"{text} Bearer {SECRET}", (f"x://u:{SECRET}@h",)]}
    assert SECRET not in repr(redact(value))


def test_redaction_of_hostile_texts_stays_fast():
    for piece in (
        "a://",
        "x" * 30 + ":",
        '"token": "',
        "Bearer ",
        "?token",
        "-----BEGIN PRIVATE KEY-----",
        "lsh_live_",
    ):
        redact_text(piece * (100_000 // len(piece)))


def answer(middleware_answer=None, **headers):
    seen = []

    def view(request):
        seen.append((request.request_id, structlog.contextvars.get_contextvars()))
        return middleware_answer or HttpResponse(status=204)

    response = RequestIdMiddleware(view)(RequestFactory().get(f"/api/v1/x?token={SECRET}", headers=headers))
    return seen[0], response


def test_a_request_id_is_made_bound_answered_and_logged_without_the_query(lines):
    (request_id, bound), response = answer()
    assert re.fullmatch(r"req_[0-9a-f]{32}", request_id)
    assert bound == {"request_id": request_id} and response["X-Request-Id"] == request_id
    assert structlog.contextvars.get_contextvars() == {}
    (line,) = lines()
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "GET", "/api/v1/x", 204)
    assert line["request_id"] == request_id and line["ms"] >= 0


@pytest.mark.parametrize("given_id", ["abcd-1234", "A" * 64, "0.1_2-3xyz"])
def test_a_sane_request_id_is_taken(given_id):
    assert answer(**{"X-Request-Id": given_id})[1]["X-Request-Id"] == given_id


@pytest.mark.parametrize("given_id", ["short", "A" * 65, "with space", "line\nbreak1", "", "ünicode-1"])
def test_another_one_is_replaced(given_id):
    assert answer(**{"X-Request-Id": given_id})[1]["X-Request-Id"].startswith("req_")


def test_the_context_is_cleared_even_when_the_view_raises(lines):
    def view(request):
        structlog.contextvars.bind_contextvars(workspace="w")
        raise KeyError("boom")

    with pytest.raises(KeyError):
        RequestIdMiddleware(view)(RequestFactory().get("/x"))
    assert structlog.contextvars.get_contextvars() == {}
    assert [(line["status"], line["workspace"]) for line in lines()] == [(500, "w")]


def test_probes_of_load_balancers_are_not_logged(lines):
    RequestIdMiddleware(lambda request: HttpResponse())(RequestFactory().get("/livez"))
    assert lines() == []
