"""Signatures by the Standard Webhooks specification (standardwebhooks.com), symmetric ones: `v1`.

What is signed is `{id}.{timestamp}.{body}`, the body as the raw bytes that are sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence

from core.errors import BugError, ConfigError, PermissionDeniedError

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET_PREFIX, VERSION = "whsec_", "v1"
SECRET_BYTES, MIN_SECRET_BYTES, MAX_SECRET_BYTES = 32, 24, 64
TOLERANCE_SECONDS = 300
# A full stop would let one id and another timestamp read alike.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def new_secret() -> str:
    """A new signing secret: `whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def sign(message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of a message, one signature for each secret, in their order.

    Units: `timestamp` is seconds since 1970, UTC, of the attempt.
    Errors: ConfigError SIGNING_SECRET_INVALID; BugError without a secret or for an id that headers cannot carry.
    """
    if not secrets:
        raise BugError("A message is to be signed without a secret.")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise BugError("The id of a message holds characters that message ids may not have.")
    signatures = [_signature(secret, message_id, str(timestamp), body) for secret in secrets]
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(f"{VERSION},{signature}" for signature in signatures),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> None:
    """Return when one of `secrets` signed this message within the tolerance around `now` (seconds since 1970).

    The names of headers may be in any case; signatures of other versions are passed over.
    Errors: PermissionDeniedError SIGNATURE_MISSING, SIGNATURE_EXPIRED or SIGNATURE_INVALID;
    ConfigError SIGNING_SECRET_INVALID.
    """
    named = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, given = (named.get(name, "") for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))
    if not (message_id and timestamp and given):
        needed = f"{ID_HEADER}, {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}"
        raise PermissionDeniedError(f"The message is not signed: it needs {needed}.", code="SIGNATURE_MISSING")
    if not _TIMESTAMP.fullmatch(timestamp):
        detail = f"{TIMESTAMP_HEADER} is not a whole number of seconds since 1970."
        raise PermissionDeniedError(detail, code="SIGNATURE_INVALID")
    if abs(now - int(timestamp)) > tolerance_seconds:
        detail = f"The message was signed more than {tolerance_seconds:.0f} seconds ago, or in the future: check both clocks."
        raise PermissionDeniedError(detail, code="SIGNATURE_EXPIRED")
    if not _is_signed(given, [_signature(secret, message_id, timestamp, body) for secret in secrets]):
        detail = "No signature of the message fits: it was changed on its way, or signed with another secret."
        raise PermissionDeniedError(detail, code="SIGNATURE_INVALID")


def _is_signed(given: str, expected: Sequence[str]) -> bool:
    """Compare every pair, each in constant time."""
    found = False
    for entry in given.split(" "):
        version, _, signature = entry.partition(",")
        for right in expected if version == VERSION else ():
            found |= hmac.compare_digest(signature.encode("utf-8", "replace"), right.encode())
    return found


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b"%s.%s.%s" % (message_id.encode("utf-8", "replace"), timestamp.encode(), body)
    return base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        detail = (
            f"A signing secret is {SECRET_PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes: "
            "paste it anew, or rotate it."
        )
        # Not chained: the parser's error would carry the secret along.
        raise ConfigError(detail, code="SIGNING_SECRET_INVALID")
    return key
