"""Reading addresses typed by people, strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import quote, unquote, urlencode

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from core.errors import ConfigError, EgressDeniedError

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 32_768
_HOST_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
# `$` stays readable in OData parameters ($filter, $top); everything else is encoded, a space as %20.
QUERY_SAFE = "$"


@dataclass(frozen=True)
class Target:
    """Where one request goes. `host` is ASCII, lower case, without brackets; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def url_host(self) -> str:
        """The host as a URL writes it: IPv6 addresses in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port as the Host header writes them: no port when it is the scheme's own."""
        return self.url_host if DEFAULT_PORTS[self.scheme] == self.port else f"{self.url_host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True)
class Proxy:
    """An http proxy; `password` is kept only so that it can be cut from texts."""

    host: str
    port: int
    authorization: str | None
    password: str | None


def parse_target(url: str, params: Params | None = None) -> Target:
    """Read `url` and add `params` to its query (None is left out, booleans become true and false).

    Errors: ConfigError URL_REFUSED, or EgressDeniedError for another scheme. The text never quotes the whole URL.
    """
    parsed = _parse(url)
    if parsed.auth is not None:
        raise _refused("it holds a user name or password; these belong in the connection's credential")
    host = _host(parsed)
    path = parsed.request_uri
    if params:
        path += ("&" if "?" in path else "?") + _encode(params)
    return Target(str(parsed.scheme), host, parsed.port or DEFAULT_PORTS[str(parsed.scheme)], path)


def parse_proxy(url: str) -> Proxy:
    """Read `http://[user:password@]host:port`. Errors: ConfigError."""
    parsed = _parse(url)
    if parsed.scheme != "http":
        raise ConfigError("The proxy must be given as http://host:port (https targets are tunnelled through it).")
    user, _, password = (parsed.auth or "").partition(":")
    token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return Proxy(_host(parsed), parsed.port or 80, f"Basic {token}" if parsed.auth else None, unquote(password) or None)


def _parse(url: str) -> Url:
    if len(url) > MAX_URL_LENGTH:
        raise _refused(f"it is longer than {MAX_URL_LENGTH} characters")
    if not url.isprintable() or any(character.isspace() or character == "\\" for character in url):
        raise _refused("it holds spaces, line breaks, backslashes or unprintable characters")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        raise EgressDeniedError("Only addresses that begin with http:// or https:// may be called.", code="URL_REFUSED")
    try:
        parsed = parse_url(url)
    except LocationParseError as error:
        raise _refused("its host or port cannot be read") from error
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if parsed.auth is None and "@" in authority:
        raise _refused("it holds a user name or password; these belong in the connection's credential")
    if parsed.port == 0:
        raise _refused("port 0 cannot be called")
    return parsed


def _host(parsed: Url) -> str:
    host = parsed.host or ""
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except ValueError as error:
            raise _refused("its IPv6 address cannot be read") from error
    if not _HOST_NAME.fullmatch(host):
        raise _refused("its host name is missing or not a valid name")
    return host


def _encode(params: Params) -> str:
    pairs = params.items() if isinstance(params, Mapping) else params
    return urlencode(
        [(name, _plain(value)) for name, value in pairs if value is not None],
        doseq=True,
        quote_via=quote,
        safe=QUERY_SAFE,
    )


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _refused(reason: str) -> ConfigError:
    return ConfigError(f"The address may not be called: {reason}.", code="URL_REFUSED")
