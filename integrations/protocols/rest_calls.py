"""How a REST connector speaks: addresses below `base_url`, the credential on each call, and what error an answer is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote, unquote_plus, urlsplit

import msgspec

from core.errors import ConfigError, TransientError, UnreachableError
from core.http import Request, Response
from integrations.sdk.answers import error_of
from integrations.sdk.auth import Auth, NoAuth
from integrations.sdk.connector import Connector
from integrations.sdk.pages import Position
from integrations.sdk.raw_calls import merged

RENEWAL_SECONDS, LEAST_SECONDS = 20.0, 5.0
"""Beyond the time of a call: how long somebody else's renewal is waited for, and what the call itself has then. Together
less than the margin of leases."""


class RestCalls(Connector):
    """What reading and writing share."""

    auth: ClassVar[Auth] = NoAuth()
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json"}

    def url(self, path: str) -> str:
        """The whole address of a path below `base_url`."""
        base = str(self.settings.config.get("base_url", "")).rstrip("/")
        if not base:
            raise ConfigError("The connection has no base_url.")
        return f"{base}/{path.lstrip('/')}"

    def place(self, path: str, remote_id: str) -> str:
        """A path with the parts of a remote id put in, quoted: `{id}` is the first, `{0}`, `{1}` are all of them."""
        parts = [quote(part, safe="") for part in remote_id.split("|")]
        return path.format(*parts, id=parts[0])

    def own_headers(self) -> dict[str, str]:
        """What each call must carry, whatever it asks for: the credential, and what says for whom."""
        return dict(self.auth.headers(self.settings))

    def get(self, url: str, parameters: Mapping[str, Any], *, seconds: float | None = None) -> Response:
        """GET with the credential, within `seconds` in all; the errors of `error_of` for anything but 2xx."""
        request = Request(
            method="GET",
            url=url,
            params=parameters,
            headers=self.headers,
            total_timeout=seconds or self.call_seconds,
        )
        response = self.send_signed(request)
        if 200 <= response.status < 300:
            return response
        raise error_of(response, message=self.message_of(response))

    def send_signed(self, request: Request) -> Response:
        """Send with the credential, whatever status comes. A refused one is renewed, and the call made once more: a
        system that answers 401 has done nothing.

        The request's time covers everything; a renewal that somebody else does may take a little more. Errors: those of
        `send` and of `Tokens`, of which UnreachableError says before a write that nothing was sent.
        """
        stop_at = time.monotonic() + request.total_timeout
        token = self._token(request, stop_at)
        response = self.send(self._signed(request, request.total_timeout if token is None else _left(stop_at)))
        if response.status == 401 and self._has_another(request, token, stop_at):
            response = self.send(self._signed(request, _left(stop_at)))
        return response

    def _signed(self, request: Request, seconds: float) -> Request:
        own, names = self.auth.parameters(self.settings), self.auth.parameter_names()
        params = request.params or ()
        pairs = list(params.items() if isinstance(params, Mapping) else params)
        return replace(
            request,
            headers=merged(request.headers, self.own_headers()),
            params=[*(pair for pair in pairs if pair[0] not in names), *own.items()],
            total_timeout=seconds,
        )

    def _token(self, request: Request, stop_at: float, refused: str | None = None) -> str | None:
        """The token for this call, None where the credential does not end."""
        tokens, seconds = self.settings.tokens, stop_at + RENEWAL_SECONDS - time.monotonic()
        if tokens is None:
            return None
        try:
            return tokens.current(seconds) if refused is None else tokens.renew(refused, seconds)
        except TransientError as error:
            if not request.is_write:
                raise
            detail = f"Signing in failed, so nothing was sent. {error}"
            raise UnreachableError(detail, code=error.code, source=error.source) from error

    def _has_another(self, request: Request, refused: str | None, stop_at: float) -> bool:
        """After a refusal: whether there is another credential to try."""
        if refused is None:
            return self.reread_secrets()
        return self._token(request, stop_at, refused) != refused

    def without_credential(self, position: Position | None) -> Position | None:
        """A position that is kept, without the key in the address that the system made of ours."""
        if (names := self.auth.parameter_names()) and position and isinstance(position.get("url"), str):
            return {**position, "url": _without(position["url"], names)}
        return position

    def message_of(self, response: Response) -> str | None:
        """The system's own words in an error answer, if they are where most put them."""
        try:
            body = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # a page of HTML says nothing a person should be shown
        if not isinstance(body, dict):
            return None
        found = body.get("message") or body.get("detail") or body.get("error")
        if isinstance(found, dict):
            found = found.get("message")
        return response.clean(found)[:500] if isinstance(found, str) else None


def _left(stop_at: float) -> float:
    """Seconds for a call after a token was waited for: there are always some."""
    return max(stop_at - time.monotonic(), LEAST_SECONDS)


def _without(url: str, names: frozenset[str]) -> str:
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if unquote_plus(pair.partition("=")[0]) not in names]
    return parts._replace(query="&".join(kept)).geturl()
