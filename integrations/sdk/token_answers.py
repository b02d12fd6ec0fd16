"""What a token endpoint answers: tokens, or what stands in their way (RFC 6749, 5)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import orjson

from core.errors import AuthError, BadAnswerError, ConfigError, LineshaftError, SourceAnswer, TransientError
from core.http import Response
from integrations.sdk.answers import error_of

MAX_LIFE_SECONDS = 10 * 365 * 86_400.0
_SAID = 300
# RFC 6749, 4.1.2.1 and 5.2: what the server says of itself, of the client and of the grant.
_LATER = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_GRANT = frozenset({"invalid_grant", "access_denied", "interaction_required", "consent_required", "login_required"})


@dataclass(frozen=True)
class Issued:
    """What an exchange gave. `expires_in_seconds` counts from `issued_at` (Unix time, our clock); None: not told."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in_seconds: float | None
    scope: str = ""
    issued_at: float = field(default_factory=time.time, compare=False)

    def as_json(self) -> dict[str, Any]:
        """For storing, encrypted."""
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_in_seconds": self.expires_in_seconds,
            "scope": self.scope,
            "issued_at": self.issued_at,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Issued:
        """What `as_json` gave; members of others are left alone."""
        return cls(
            access_token=stored["access_token"],
            refresh_token=stored.get("refresh_token"),
            expires_in_seconds=stored.get("expires_in_seconds"),
            scope=stored.get("scope") or "",
            issued_at=stored.get("issued_at") or time.time(),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be cut from texts."""
        return (self.access_token, *([self.refresh_token] if self.refresh_token else []))


def issued_of(response: Response, lifetime: float | None) -> Issued:
    """The tokens of an answer. `lifetime`: seconds a token lasts where the answer does not tell. Errors: AuthError
    GRANT_REFUSED, ConfigError, TransientError, RateLimitedError, BadAnswerError."""
    body = _object(response)
    if not 200 <= response.status < 300 or isinstance(body.get("error"), str):
        raise _refusal(response, body)
    access, renewing = body.get("access_token"), body.get("refresh_token")
    if not isinstance(access, str) or not access:
        raise BadAnswerError("The system answers no access token.", source=SourceAnswer(status=response.status))
    return Issued(
        access,
        renewing if isinstance(renewing, str) and renewing else None,
        seconds_of(body.get("expires_in"), lifetime),
        body["scope"] if isinstance(body.get("scope"), str) else "",
    )


def seconds_of(told: Any, otherwise: float | None) -> float | None:
    """How long a token lasts: a number, in whatever form systems write it."""
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return otherwise
    return min(seconds, MAX_LIFE_SECONDS) if isfinite(seconds) and seconds > 0 else otherwise


def _object(response: Response) -> dict[str, Any]:
    """The answer's members; none where it is not JSON, for then only the status counts."""
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        if 200 <= response.status < 300:
            response.json()  # says what came instead
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(response: Response, body: Mapping[str, Any]) -> LineshaftError:
    """Only what the server says in the protocol's words is for good; everything else may pass."""
    code = body["error"] if isinstance(body.get("error"), str) else ""
    shown = response.clean(code)[:80] or None
    words = body.get("error_description")
    said = response.clean(words)[:_SAID] if isinstance(words, str) else ""
    source = SourceAnswer(status=response.status, code=shown, message=said or None)
    telling = f" It says: {said}" if said else ""
    if response.status == 429 or response.status >= 500:
        return error_of(response, message=said or None, code=shown)
    if code in _GRANT:
        detail = f"The system no longer accepts this sign-in. Sign in again.{telling}"
        return AuthError(detail, code="GRANT_REFUSED", source=source)
    if code in _CLIENT:
        detail = f"The system refuses the OAuth client: check its id and secret in the system's settings.{telling}"
        return ConfigError(detail, code="OAUTH_CLIENT_REFUSED", source=source)
    if code and code not in _LATER:
        detail = f"The system does not accept the request for a token.{telling}"
        return ConfigError(detail, code="OAUTH_REQUEST_REFUSED", source=source)
    if code:
        return TransientError(f"The system cannot give tokens at the moment.{telling}", source=source)
    detail = f"The system's token address answers with the status {response.status} and no reason."
    return BadAnswerError(detail, source=source)
