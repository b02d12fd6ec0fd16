"""The OAuth app that a workspace registered with a system's maker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django_scopes import scope

from connections.models import SystemSecret
from connections.services.systems import CLIENT_SECRET, redirect_uri, system_settings
from core.errors import ConfigError
from integrations.registry import get_connector
from integrations.sdk.auth import OAuth2Code
from integrations.sdk.connector import Connector
from integrations.sdk.oauth import OAuthClient
from integrations.sdk.templates import address, names_in
from workspaces.secrets import open_secret


def oauth_client_of(
    workspace_id: UUID, system: str, environment: str, *, config: Mapping[str, Any], fresh: bool = False
) -> OAuthClient:
    """The client as it stands in the system's settings; `fresh` asks a secrets manager again for its secret.

    `config` is the connection's: where its customer typed the address of the sign-in, the client's secret goes only to the
    hosts that the workspace named. Errors: ConfigError OAUTH_CLIENT_MISSING or OAUTH_HOST_NOT_ALLOWED saying where to enter
    it, KEY_MISSING.
    """
    with scope(workspace=workspace_id):
        settings = system_settings(workspace_id, system, environment)
        row = SystemSecret.objects.filter(settings_id=settings.pk, name=CLIENT_SECRET).first()
    kind = get_connector(system)
    is_public = isinstance(kind.auth, OAuth2Code) and kind.auth.client_auth == "none"
    if not settings.oauth_client_id or (row is None and not is_public):
        missing = "secret" if settings.oauth_client_id else "id"
        raise ConfigError(
            f"{kind.title} has no OAuth client {missing} for {environment} connections of this workspace: register an app"
            f" with the system's maker and enter it under Systems, {kind.title}, or PATCH"
            f" /api/v1/systems/{system}/settings.",
            code="OAUTH_CLIENT_MISSING",
        )
    if row is not None and isinstance(kind.auth, OAuth2Code):
        _demand_host(kind, kind.auth, config, settings.oauth_hosts)
    secret = "" if row is None else open_secret(row, fresh=fresh)
    return OAuthClient(id=settings.oauth_client_id, secret=secret, redirect_uri=redirect_uri())


def _demand_host(kind: type[Connector], auth: OAuth2Code, config: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """A customer who could name the host of the token endpoint would be sent the workspace's client secret there."""
    if not names_in(auth.token_url):
        return
    parts = urlsplit(address(auth.token_url, config))
    usual = {"https": 443, "http": 80}[parts.scheme.lower()]
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    named = host if parts.port in (None, usual) else f"{host}:{parts.port}"
    if named not in allowed:
        raise ConfigError(
            f"{named} is not among the hosts that the OAuth client secret of {kind.title} may be sent to. If it is a"
            f" customer's system, add it under Systems, {kind.title}, OAuth hosts.",
            code="OAUTH_HOST_NOT_ALLOWED",
        )
