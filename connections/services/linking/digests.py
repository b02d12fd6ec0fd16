"""Random values that open something, and the keyed digests that are all we keep of them."""

from __future__ import annotations

import hmac
import secrets
from typing import Literal

from django.conf import settings

Purpose = Literal["token", "browser", "state", "code"]


def new_value() -> str:
    """256 random bits, as 43 characters that may stand in an address."""
    return secrets.token_urlsafe(32)


def digest(purpose: Purpose, value: str) -> bytes:
    """HMAC-SHA256 under TOKEN_PEPPER. A value made for one purpose is worth nothing for another."""
    return hmac.digest(settings.TOKEN_PEPPER.encode(), f"link-{purpose}:{value}".encode("utf-8", "replace"), "sha256")


def fits(purpose: Purpose, value: str | None, kept: bytes | memoryview | None) -> bool:
    """Whether the value is the one of which the digest is kept."""
    if not value or kept is None:
        return False
    return hmac.compare_digest(digest(purpose, value), bytes(kept))
