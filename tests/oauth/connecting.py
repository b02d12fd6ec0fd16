"""Connections to the OAuth server, as a person would make them, stored without a check."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection, Grant
from connections.services.credentials import store_secrets
from connections.services.grants import save_grant
from connections.services.opening import open_door
from connections.services.systems import update_system_settings
from core.ids import new_id
from integrations.sdk.oauth import Issued, OAuthClient, authorization_url, exchange_code
from tests.oauth.connector import CONNECTORS, OAuthErp, ServiceErp, SessionErp
from tests.oauth.running import OAuthServer
from workspaces.models import Workspace


@pytest.fixture
def oauth_connectors(settings: Any) -> None:
    """The connectors behind OAuth are the catalogue's only ones; runs that met trouble soon go on."""
    settings.CONNECTORS = list(CONNECTORS)
    settings.SYNC_RETRY_SECONDS = [0.2] * 200


def client_of(server: OAuthServer) -> OAuthClient:
    return OAuthClient(server.client_id, server.client_secret, server.redirect_uri)


def sign_in(server: OAuthServer) -> Issued:
    """A person agrees, and the code is exchanged."""
    verifier, config = secrets.token_urlsafe(48), {"base_url": server.base_url}
    url = authorization_url(OAuthErp.auth, config, client_of(server), state="s-1", verifier=verifier)
    answer = server.agree(url)
    with open_door() as door:
        return exchange_code(OAuthErp.auth, config, client_of(server), door, code=answer["code"], verifier=verifier)


def connect(server: OAuthServer, issued: Issued | None = None) -> Connection:
    """An active connection with the grant of a sign-in, in a workspace that has the OAuth client."""
    connection = _connection(server, OAuthErp.slug, {})
    with scope(workspace=connection.workspace_id):
        update_system_settings(
            workspace=connection.workspace,
            system=OAuthErp.slug,
            environment=connection.environment,
            changes={
                "oauth_client_id": server.client_id,
                "oauth_client_secret": server.client_secret,
                "oauth_hosts": [server.host],
            },
            by="test",
        )
    keep(connection, issued or sign_in(server))
    return connection


def keep(connection: Connection, issued: Issued) -> None:
    """Store what a sign-in gave, as the end of Link does."""
    with scope(workspace=connection.workspace_id), transaction.atomic():
        save_grant(connection, issued)


def connect_service(server: OAuthServer) -> Connection:
    """A connection that has a client of its own."""
    connection = _connection(server, ServiceErp.slug, {"client_id": server.service_id})
    with scope(workspace=connection.workspace_id):
        store_secrets(connection, {"client_secret": server.service_secret})
    return connection


def connect_session(server: OAuthServer) -> Connection:
    """A connection that signs in by user and password."""
    connection = _connection(server, SessionErp.slug, {"user": server.username})
    with scope(workspace=connection.workspace_id):
        store_secrets(connection, {"password": server.password})
    return connection


def grant_of(connection: Connection) -> Grant:
    with scopes_disabled():
        found: Grant = Grant.objects.get(connection_id=connection.pk)
        return found


def let_token_end(connection: Connection, *, in_seconds: float = -1) -> None:
    """By our clock the access token ends then, or is over; the system would still take it."""
    with scopes_disabled():
        Grant.objects.filter(connection_id=connection.pk).update(expires_at=Now() + timedelta(seconds=in_seconds))


def health_of(connection: Connection) -> str:
    with scopes_disabled():
        return str(Connection.objects.values_list("health", flat=True).get(pk=connection.pk))


def _connection(server: OAuthServer, system: str, config: dict[str, Any]) -> Connection:
    workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
    workspace.save(force_insert=True)
    connection = Connection(
        workspace=workspace,
        system=system,
        name="Plant 1",
        health=ConnectionStatus.ACTIVE,
        config={"base_url": server.base_url, **config},
    )
    connection.save(force_insert=True)
    return connection
