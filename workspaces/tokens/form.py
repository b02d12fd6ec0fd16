"""The form of a token: `lsh_<live|test>_<id>_<secret><checksum>`.

12, 32 and 6 characters of base62. The checksum is the CRC32 of what stands before it, so that scanners can tell a leaked
token from noise, and we refuse noise without a query.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib

from django.conf import settings

from workspaces.models import ApiToken

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_CHARACTERS, SECRET_CHARACTERS, CHECKSUM_CHARACTERS = 12, 32, 6
TOKEN = re.compile(r"(lsh_(live|test)_([0-9A-Za-z]{12})_[0-9A-Za-z]{32})([0-9A-Za-z]{6})")
TOKEN_CHARACTERS = len("lsh_live__") + KEY_CHARACTERS + SECRET_CHARACTERS + CHECKSUM_CHARACTERS


def new_token(environment: str) -> tuple[str, str]:
    """The public part and the whole of a token that nobody has."""
    key = _random(KEY_CHARACTERS)
    body = f"lsh_{environment}_{key}_{_random(SECRET_CHARACTERS)}"
    return key, body + checksum(body)


def key_of(clear: str) -> str | None:
    """The public part of what is a token by form and checksum."""
    parts = TOKEN.fullmatch(clear)
    return parts[3] if parts is not None and hmac.compare_digest(checksum(parts[1]), parts[4]) else None


def checksum(text: str) -> str:
    """CRC32 in base62, six digits, most significant first."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits


def digest_of(clear: str) -> bytes:
    """What the database keeps."""
    return hmac.digest(settings.TOKEN_PEPPER.encode(), clear.encode(), "sha256")


def prefix_of(token: ApiToken) -> str:
    """The part of the token that may be shown, to find where it is kept."""
    return f"lsh_{token.environment}_{token.key}_"


def _random(characters: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(characters))
