"""The OAuth app that a workspace registered with a system's maker."""

from __future__ import annotations

from uuid import UUID

from django_scopes import scope

from connections.models import SystemSecret
from connections.services.systems import CLIENT_SECRET, redirect_uri, system_settings
from core.errors import ConfigError
from integrations.registry import get_connector
from integrations.sdk.auth import OAuth2Code
from integrations.sdk.oauth import OAuthClient
from workspaces.secrets import open_secret


def oauth_client_of(workspace_id: UUID, system: str, environment: str, *, fresh: bool = False) -> OAuthClient:
    """The client as it stands in the system's settings; `fresh` asks a secrets manager again for its secret.

    Errors: ConfigError OAUTH_CLIENT_MISSING saying where to enter it, KEY_MISSING.
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
    secret = "" if row is None else open_secret(row, fresh=fresh)
    return OAuthClient(id=settings.oauth_client_id, secret=secret, redirect_uri=redirect_uri())
