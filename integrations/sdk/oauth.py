"""OAuth 2.0 as a client: authorization code with PKCE (RFC 6749, RFC 7636), refreshing, client credentials.

Pure protocol: nothing is kept, all calls go through the door they are given. What tokens are stored and who renews them
is the business of whoever calls.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]
    prepare_grant_uri,
    prepare_token_request,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]

from core.errors import AuthError, ConfigError, TimeoutUnknownError, TransientError
from core.http import Door, Request
from integrations.sdk.auth import ClientAuth, ClientCredentials, OAuth2Code
from integrations.sdk.templates import address
from integrations.sdk.token_answers import Issued, issued_of

__all__ = ["Issued", "OAuthClient", "authorization_url", "client_credentials", "exchange_code", "refresh"]

EXCHANGE_SECONDS = 15.0
"""The whole of one exchange, as long as nobody says otherwise."""

MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True)
class OAuthClient:
    """The app that a workspace registered with a system's maker."""

    id: str
    secret: str = field(repr=False)
    redirect_uri: str


def authorization_url(
    auth: OAuth2Code, config: Mapping[str, Any], client: OAuthClient, *, state: str, verifier: str
) -> str:
    """Where the person's browser goes to agree. `verifier`: 43 to 128 characters, kept for `exchange_code`."""
    challenge = create_s256_code_challenge(verifier)
    return str(
        prepare_grant_uri(
            address(auth.authorize_url, config),
            client.id,
            "code",
            redirect_uri=client.redirect_uri,
            scope=list(auth.scopes) or None,
            state=state,
            **{**auth.extra, "code_challenge": challenge, "code_challenge_method": "S256"},
        )
    )


def exchange_code(
    auth: OAuth2Code,
    config: Mapping[str, Any],
    client: OAuthClient,
    door: Door,
    *,
    code: str,
    verifier: str,
    seconds: float = EXCHANGE_SECONDS,
) -> Issued:
    """The tokens for a code, which works once.

    Errors: AuthError when the code is not (or no longer) good; ConfigError OAUTH_CLIENT_REFUSED for the operator;
    TransientError (UnreachableError, BadAnswerError) and RateLimitedError for everything that may pass.
    """
    door.hide(code, verifier)
    form = {"code": code, "redirect_uri": client.redirect_uri, "code_verifier": verifier}
    asking = _Asking(address(auth.token_url, config), auth.client_auth, client.id, client.secret)
    return asking.exchange(door, "authorization_code", form, seconds=seconds, lifetime=auth.lifetime_seconds)


def refresh(
    auth: OAuth2Code,
    config: Mapping[str, Any],
    client: OAuthClient,
    door: Door,
    *,
    refresh_token: str,
    seconds: float = EXCHANGE_SECONDS,
    not_after: float | None = None,
) -> Issued:
    """New tokens for a refresh token; the old one where the answer brings none. Errors as of `exchange_code`: AuthError
    GRANT_REFUSED is for good. Nothing is sent after `not_after`, on the clock of time.monotonic()."""
    door.hide(refresh_token)
    asking = _Asking(address(auth.token_url, config), auth.client_auth, client.id, client.secret)
    found = asking.exchange(
        door,
        "refresh_token",
        {"refresh_token": refresh_token},
        seconds=seconds,
        lifetime=auth.lifetime_seconds,
        not_after=not_after,
    )
    if found.refresh_token:
        return found
    return Issued(found.access_token, refresh_token, found.expires_in_seconds, found.scope, found.issued_at)


def client_credentials(
    auth: ClientCredentials,
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
    door: Door,
    *,
    seconds: float = EXCHANGE_SECONDS,
    not_after: float | None = None,
) -> Issued:
    """A token for the connection's own client. Errors as of `exchange_code`, but a refused client is an AuthError: its
    id and secret are the connection's."""
    client_id = str({**config, **secrets}.get(auth.client_id) or "")
    asking = _Asking(
        address(auth.token_url, config), auth.client_auth, client_id, secrets.get(auth.client_secret) or ""
    )
    form = {**auth.extra, **({"scope": " ".join(auth.scopes)} if auth.scopes else {})}
    try:
        return asking.exchange(
            door, "client_credentials", form, seconds=seconds, lifetime=auth.lifetime_seconds, not_after=not_after
        )
    except ConfigError as error:
        if error.code != "OAUTH_CLIENT_REFUSED":
            raise
        detail = "The system does not accept this client id and secret. Check both, then sign in again."
        raise AuthError(detail, source=error.source) from error


@dataclass(frozen=True)
class _Asking:
    """A token endpoint, and the client that asks it."""

    url: str
    client_auth: ClientAuth
    client_id: str
    client_secret: str = field(repr=False)

    def exchange(
        self,
        door: Door,
        grant: str,
        form: Mapping[str, str],
        *,
        seconds: float,
        lifetime: float | None,
        not_after: float | None = None,
    ) -> Issued:
        """Ask once. As a write: it is not sent again on another connection, for a refresh token may work only once."""
        door.hide(self.client_secret, *self._basic())
        request = Request(
            method="POST",
            url=self.url,
            headers={"Content-Type": "application/x-www-form-urlencoded", **self._headers()},
            content=prepare_token_request(grant, **form, **self._client()).encode(),
            total_timeout=seconds,
            max_bytes=MAX_ANSWER_BYTES,
            is_write=True,
            not_after=not_after,
        )
        try:
            response = door.send(request)
        except TimeoutUnknownError as error:
            detail = "The system did not answer the request for a token."
            raise TransientError(detail, code="TOKEN_UNANSWERED", log_detail=error.detail) from error
        issued = issued_of(response, lifetime)
        door.hide(*issued.secrets)
        return issued

    def _client(self) -> dict[str, str]:
        """How the client names itself in the form."""
        if self.client_auth == "basic":
            return {}
        shown = {"client_secret": self.client_secret} if self.client_auth == "post" else {}
        return {"client_id": self.client_id, **shown}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {self._basic()[0]}"} if self.client_auth == "basic" else {}

    def _basic(self) -> Sequence[str]:
        """RFC 6749, 2.3.1: both are encoded as in a form first."""
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return [b64encode(pair.encode()).decode()]
