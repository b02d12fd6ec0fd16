"""How a system is signed in to, declared as data.

Static: `HeaderKey`, `Bearer`, `Basic`, `QueryKey`. With a token that ends and is got anew: `OAuth2Code`,
`ClientCredentials`, `PasswordLogin`; `oauth` and `sessions` speak what they declare. A protocol with a sign-in of its
own declares none.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from core.errors import ConfigError

if TYPE_CHECKING:
    from integrations.sdk.connector import ConnectorSettings

ClientAuth = Literal["post", "basic", "none"]
"""How an OAuth client shows who it is: id and secret in the form, in a Basic header, or the id alone."""


class Auth:
    """Where the credential goes on each call."""

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        """The headers that carry it."""
        return {}

    def parameters(self, settings: ConnectorSettings) -> Mapping[str, str]:
        """The query parameters that carry it."""
        return {}

    def parameter_names(self) -> frozenset[str]:
        """Names of these parameters, which nobody else may set and no kept address may hold."""
        return frozenset()


@dataclass(frozen=True)
class NoAuth(Auth):
    """The system is open to its network."""


@dataclass(frozen=True)
class HeaderKey(Auth):
    """A static key in a header, e.g. HeaderKey("apikey", secret="api_key")."""

    header: str
    secret: str
    prefix: str = ""

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        return {self.header: self.prefix + settings.secrets[self.secret]}


def Bearer(secret: str) -> HeaderKey:
    """`Authorization: Bearer <secret>`."""
    return HeaderKey("Authorization", secret, "Bearer ")


@dataclass(frozen=True)
class QueryKey(Auth):
    """A static key in the query, e.g. QueryKey("api_key", secret="api_key"). Texts that show addresses show it cut."""

    parameter: str
    secret: str

    def parameters(self, settings: ConnectorSettings) -> Mapping[str, str]:
        return {self.parameter: settings.secrets[self.secret]}

    def parameter_names(self) -> frozenset[str]:
        return frozenset({self.parameter})


@dataclass(frozen=True)
class Basic(Auth):
    """HTTP Basic with a user name from the settings and a secret password."""

    user: str
    secret: str

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        pair = f"{settings.config[self.user]}:{settings.secrets[self.secret]}"
        return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


class TokenAuth(Auth):
    """A token that ends and is got anew; all workers of a connection share it. `settings.tokens` has it.

    `lifetime_seconds`: how long one lasts where the system does not tell; None: until it is refused.
    """

    header: str
    prefix: str
    lifetime_seconds: float | None

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        if settings.tokens is None:
            raise ConfigError("Nobody has signed in to this system yet.", code="NOT_SIGNED_IN")
        return {self.header: self.prefix + settings.tokens.current()}


@dataclass(frozen=True)
class OAuth2Code(TokenAuth):
    """OAuth 2.0: a person agrees on the system's own page (authorization code with PKCE), tokens are refreshed.

    `authorize_url` and `token_url` are templates over the connection's settings: "{base_url}/o/token/". `extra` goes
    with the authorization request, e.g. {"access_type": "offline"}. The client is the workspace's: where a customer
    names the host of `token_url`, that host gets the client's secret, so such a system has `client_auth="none"` or a
    client registered there for this alone.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...] = ()
    client_auth: ClientAuth = "post"
    extra: Mapping[str, str] = field(default_factory=dict)
    header: str = "Authorization"
    prefix: str = "Bearer "
    lifetime_seconds: float | None = None


@dataclass(frozen=True)
class ClientCredentials(TokenAuth):
    """OAuth 2.0 without a person: the connection's own client id (a setting) and secret give a token.

    `client_id` and `client_secret` are the names of the setting and the secret; `extra` goes with each request.
    """

    token_url: str
    scopes: tuple[str, ...] = ()
    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105  the name of it
    client_auth: ClientAuth = "post"
    extra: Mapping[str, str] = field(default_factory=dict)
    header: str = "Authorization"
    prefix: str = "Bearer "
    lifetime_seconds: float | None = None


@dataclass(frozen=True)
class PasswordLogin(TokenAuth):
    """User and password give a session that ends.

    `url` and the texts of `body` are templates over settings and secrets: {"login": "{user}", "pass": "{password}"}.
    `token` is the path of the token in the answer. `refused`: statuses by which the system refuses user or password.
    """

    url: str
    body: Mapping[str, Any]
    token: str = "token"  # noqa: S105  the path of it
    header: str = "Authorization"
    prefix: str = "Bearer "
    lifetime_seconds: float | None = None
    encoding: Literal["json", "form"] = "json"
    refused: tuple[int, ...] = (400, 401, 403)
