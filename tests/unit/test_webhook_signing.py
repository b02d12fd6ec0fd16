"""Signatures: the public Standard Webhooks libraries for Python and JavaScript agree with ours."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.errors import BugError, ConfigError, PermissionDeniedError
from tests import javascript
from webhooks.signing import new_secret, sign, verify

OLD, NEW, FOREIGN = new_secret(), new_secret(), new_secret()
# Not ASCII only, and spaced as no library would write it: only the raw bytes will do.
BODY = '{"id":  "evt_1", "data": {"name": "Pumpe №7 🛠"},\n"n": 1.50}'.encode()
# For what is told the time; the libraries look at the clock themselves.
NOW = 1_800_000_000


def python_says(headers, body, secret):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError as error:
        return str(error)
    return "ok"


def javascript_says(headers, body, secret):
    line = {"headers": headers, "body": base64.b64encode(body).decode(), "secret": secret}
    said = json.loads(javascript.run("verify.js", json.dumps(line) + "\n"))
    assert said.get("ok") or said["error"].startswith("WebhookVerificationError")
    return "ok" if said.get("ok") else said["error"]


def we_say(headers, body, secret):
    try:
        verify(headers, body, [secret], now=time.time())
    except PermissionDeniedError as error:
        return error.code
    return "ok"


def signed(secrets):
    return sign("evt_1", int(time.time()), BODY, secrets)


@pytest.fixture(params=[python_says, javascript_says, we_say], ids=["python", "javascript", "ours"])
def peer_says(request):
    return request.param


def test_message_is_verified_from_raw_bytes(peer_says):
    assert peer_says(signed([NEW]), BODY, NEW) == "ok"


@pytest.mark.parametrize("secret", [OLD, NEW], ids=["old", "new"])
def test_both_secrets_verify_during_a_rotation(peer_says, secret):
    assert peer_says(signed([NEW, OLD]), BODY, secret) == "ok"


def test_tampered_byte_fails(peer_says):
    headers = signed([NEW, OLD])
    assert peer_says(headers, BODY.replace(b"1.50", b"1.51"), NEW) != "ok"


def test_foreign_secret_fails(peer_says):
    assert peer_says(signed([NEW, OLD]), BODY, FOREIGN) != "ok"


@pytest.mark.parametrize("seconds", [-301, 330], ids=["old", "future"])
def test_timestamp_too_far_away_fails(peer_says, seconds):
    assert peer_says(sign("evt_1", int(time.time()) + seconds, BODY, [NEW]), BODY, NEW) != "ok"


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp"])
def test_changed_id_or_timestamp_fails(peer_says, changed):
    headers = signed([NEW])
    headers[changed] = {"webhook-id": "evt_2", "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}[changed]
    assert peer_says(headers, BODY, NEW) != "ok"


def test_vector_of_the_public_library_is_signed_alike():
    """The example that the reference libraries carry in their own tests."""
    headers = sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_what_the_public_library_signs_we_verify():
    signature = Webhook(NEW).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    headers = {"Webhook-Id": "msg_1", "WEBHOOK-TIMESTAMP": str(NOW), "webhook-signature": f"v1a,xyz {signature}"}
    verify(headers, BODY, [OLD, NEW], now=NOW + 299)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "SIGNATURE_MISSING"),
        ({"webhook-signature": ""}, "SIGNATURE_MISSING"),
        ({"webhook-timestamp": "soon"}, "SIGNATURE_INVALID"),
        ({"webhook-timestamp": "٣"}, "SIGNATURE_INVALID"),
        ({"webhook-timestamp": "9" * 5000}, "SIGNATURE_INVALID"),
        ({"webhook-timestamp": str(NOW - 301)}, "SIGNATURE_EXPIRED"),
        ({"webhook-timestamp": str(NOW + 301)}, "SIGNATURE_EXPIRED"),
        ({"webhook-signature": "v1"}, "SIGNATURE_INVALID"),
        ({"webhook-signature": "v1,"}, "SIGNATURE_INVALID"),
        ({"webhook-signature": "v1,é\ud800 ,, v1,v1"}, "SIGNATURE_INVALID"),
        ({"webhook-signature": "v2,{right}"}, "SIGNATURE_INVALID"),
        ({"webhook-id": "\udcff"}, "SIGNATURE_INVALID"),
    ],
)
def test_malformed_headers_are_refused_by_name(headers, code):
    good = sign("evt_1", NOW, BODY, [NEW])
    right = good["webhook-signature"].removeprefix("v1,")
    given = {name: value.replace("{right}", right) for name, value in headers.items()}
    with pytest.raises(PermissionDeniedError) as raised:
        verify(good | given if headers else {}, BODY, [NEW], now=NOW)
    assert raised.value.code == code


def test_new_secrets_differ_and_hold_32_bytes():
    assert OLD != NEW
    assert len(base64.b64decode(NEW.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_???", "whsec_é", "whsec_" + "QUJD" * 30])
def test_secret_that_is_none_is_refused_without_showing_it(secret):
    with pytest.raises(ConfigError) as raised:
        sign("evt_1", NOW, BODY, [secret])
    assert raised.value.code == "SIGNING_SECRET_INVALID"
    assert len(secret) < 10 or secret not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("message_id", ["", "a.b", "a\r\nb", "é", "x" * 201])
def test_message_id_that_headers_cannot_carry_is_a_bug(message_id):
    with pytest.raises(BugError):
        sign(message_id, NOW, BODY, [NEW])


def test_message_without_a_secret_is_a_bug():
    with pytest.raises(BugError):
        sign("evt_1", NOW, BODY, [])
