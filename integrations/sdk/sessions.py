"""Getting a token that ends: signing in by user and password, and one way for all kinds of `TokenAuth`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlencode

from core.errors import (
    AuthError,
    BadAnswerError,
    BugError,
    ConfigError,
    SourceAnswer,
    TimeoutUnknownError,
    TransientError,
)
from core.http import UNSET, Door, Request
from integrations.sdk import oauth
from integrations.sdk.answers import error_of
from integrations.sdk.auth import ClientCredentials, OAuth2Code, PasswordLogin, TokenAuth
from integrations.sdk.connector import PATIENCE_SECONDS, ConnectorSettings
from integrations.sdk.oauth import EXCHANGE_SECONDS, MAX_ANSWER_BYTES, Issued, OAuthClient
from integrations.sdk.paths import compile_path
from integrations.sdk.templates import address, filled


def sign_in(
    auth: PasswordLogin,
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
    door: Door,
    *,
    seconds: float = EXCHANGE_SECONDS,
    not_after: float | None = None,
) -> Issued:
    """A new session. Errors: AuthError for user or password; TransientError, RateLimitedError for what may pass."""
    body = filled(auth.body, {**config, **secrets})
    as_form = auth.encoding == "form"
    request = Request(
        method="POST",
        url=address(auth.url, config),
        headers={"Content-Type": "application/x-www-form-urlencoded"} if as_form else {},
        json=UNSET if as_form else body,
        content=urlencode(body).encode() if as_form else None,
        total_timeout=seconds,
        max_bytes=MAX_ANSWER_BYTES,
        is_write=True,  # not sent again on another connection: some systems count sign-ins
        not_after=not_after,
    )
    try:
        response = door.send(request)
    except TimeoutUnknownError as error:
        detail = "The system did not answer the sign-in."
        raise TransientError(detail, code="TOKEN_UNANSWERED", log_detail=error.detail) from error
    source = SourceAnswer(status=response.status)
    if response.status in auth.refused:
        detail = "The system does not accept this user name and password. Check both, then sign in again."
        raise AuthError(detail, source=source)
    if not 200 <= response.status < 300:
        raise error_of(response)
    token = compile_path(auth.token)(response.json())
    if not isinstance(token, str) or not token:
        raise BadAnswerError(f"The answer to the sign-in has no session at `{auth.token}`.", source=source)
    door.hide(token)
    return Issued(token, None, auth.lifetime_seconds)


class ClientOf(Protocol):
    """Answers the workspace's OAuth client; `fresh` asks the store of its secret again."""

    def __call__(self, *, fresh: bool = False) -> OAuthClient: ...


def get_token(
    auth: TokenAuth,
    settings: ConnectorSettings,
    door: Door,
    *,
    client_of: ClientOf | None = None,
    last: Issued | None = None,
    seconds: float = EXCHANGE_SECONDS,
    not_after: float | None = None,
) -> Issued:
    """The next token of a connection, by one exchange; `last` is the one before.

    Where the secrets are refused they are read anew from their stores, and used once more if they changed. Errors: those
    of `oauth` and `sign_in`; AuthError SIGN_IN_NEEDED where only a person can get one.
    """
    limits: dict[str, Any] = {"seconds": seconds, "not_after": not_after}
    if isinstance(auth, OAuth2Code):
        return _refreshed(auth, settings, door, client_of, last, limits)

    def ask() -> Issued:
        if isinstance(auth, ClientCredentials):
            return oauth.client_credentials(auth, settings.config, settings.secrets, door, **limits)
        if isinstance(auth, PasswordLogin):
            return sign_in(auth, settings.config, settings.secrets, door, **limits)
        raise BugError(f"Nothing gets tokens for {type(auth).__name__}.")

    try:
        return ask()
    except AuthError:
        found = settings.reread() if settings.reread else None
        if found is None or dict(found) == dict(settings.secrets):
            raise
        door.hide(*found.values())
        settings.secrets = found
        return ask()


def _refreshed(
    auth: OAuth2Code,
    settings: ConnectorSettings,
    door: Door,
    client_of: ClientOf | None,
    last: Issued | None,
    limits: Mapping[str, Any],
) -> Issued:
    if last is None or not last.refresh_token or client_of is None:
        detail = "The sign-in of this connection has ended and cannot be renewed without a person. Sign in again."
        raise AuthError(detail, code="SIGN_IN_NEEDED")
    client = client_of()
    try:
        return oauth.refresh(auth, settings.config, client, door, refresh_token=last.refresh_token, **limits)
    except ConfigError as error:
        if error.code != "OAUTH_CLIENT_REFUSED":
            raise
        newer = client_of(fresh=True)
        if newer == client:
            raise
        return oauth.refresh(auth, settings.config, newer, door, refresh_token=last.refresh_token, **limits)


class DraftTokens:
    """Tokens of a connection that is not stored yet: kept here, renewed as far as that loses nothing.

    A refresh token is not used up: whoever stores the connection stores the one it has.
    """

    def __init__(self, auth: TokenAuth, settings: ConnectorSettings, door: Door, issued: Issued | None) -> None:
        self._auth, self._settings, self._door, self._issued = auth, settings, door, issued
        if issued is not None:
            door.hide(*issued.secrets)

    def current(self, seconds: float = PATIENCE_SECONDS) -> str:
        if self._issued is None:
            self._issued = self._next(seconds)
        return self._issued.access_token

    def renew(self, refused: str, seconds: float = PATIENCE_SECONDS) -> str:
        if self._issued is None or self._issued.access_token == refused:
            self._issued = self._next(seconds)
        return self._issued.access_token

    def _next(self, seconds: float) -> Issued:
        last = replace(self._issued, refresh_token=None) if self._issued else None
        return get_token(
            self._auth, self._settings, self._door, last=last, seconds=max(1.0, min(seconds, EXCHANGE_SECONDS))
        )
