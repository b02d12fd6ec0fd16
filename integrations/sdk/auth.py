"""Where a credential goes. Kinds that need a session or a token exchange live in their protocol."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from integrations.sdk.connector import ConnectorSettings


class Auth(Protocol):
    """Answers the headers that carry the credential."""

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class NoAuth:
    """The system is open to its network."""

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True)
class HeaderKey:
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
class Basic:
    """HTTP Basic with a user name from the settings and a secret password."""

    user: str
    secret: str

    def headers(self, settings: ConnectorSettings) -> Mapping[str, str]:
        pair = f"{settings.config[self.user]}:{settings.secrets[self.secret]}"
        return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
