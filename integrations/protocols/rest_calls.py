"""How a REST connector speaks: addresses below `base_url`, the credential on each call, and what error an answer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from core.errors import ConfigError
from core.http import Request, Response
from integrations.sdk.answers import error_of
from integrations.sdk.auth import Auth, NoAuth
from integrations.sdk.connector import Connector


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
            headers={**self.headers, **self.own_headers()},
            total_timeout=seconds or self.call_seconds,
        )
        response = self.send(request)
        if 200 <= response.status < 300:
            return response
        raise error_of(response, message=self.message_of(response))

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
        return found[:500] if isinstance(found, str) else None
