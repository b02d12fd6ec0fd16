"""From a stored connection to a connector that can speak: secrets in clear exist only in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django_scopes import scope

from connections.models import Connection, Credential
from core.errors import ConfigError, NotFoundError
from core.http import CallRecord, Door, TlsOptions, connection_policy
from integrations.registry import get_connector
from integrations.sdk.connector import Connector, ConnectorSettings
from workspaces.secrets import open_secret

TLS_CLIENT_KEY = "tls_client_key"
"""The credential that holds the private key of the connection's client certificate."""


@contextmanager
def open_connector(
    connection: Connection, *, page_size: int | None = None, on_call: Callable[[CallRecord], None] | None = None
) -> Iterator[Connector]:
    """The connection's connector, with a door that closes at the end. `page_size` replaces the connection's own;
    `on_call` gets a record of each call, in whichever thread makes it.

    Settings and secrets are read anew, in one statement: a secret never meets a host it was not entered for. Nothing of
    the database stays open during calls. Errors: ConfigError (CONFIG_INCOMPLETE naming the missing setting, KEY_MISSING
    for a secret that does not decrypt, SYSTEM_UNKNOWN).
    """
    kind = connector_of(connection)
    current, credentials = _read(connection)
    secrets = {credential.name: open_secret(credential) for credential in credentials}
    client_key = secrets.pop(TLS_CLIENT_KEY, None)
    given = ConnectorSettings(
        config=_complete(kind, current.config, secrets),
        secrets=secrets,
        zone=ZoneInfo(current.time_zone),
        page_size=page_size or current.page_size,
    )
    tls = TlsOptions(
        ca_certificate=current.ca_certificate or None,
        client_certificate=current.client_certificate or None,
        client_key=client_key,
    )
    hidden = [*secrets.values(), *([client_key] if client_key else [])]
    policy = connection_policy(settings.EGRESS_ALLOWED_NETWORKS)
    with Door(policy, tls=tls, proxy=current.proxy or None, secrets=hidden, on_call=on_call) as door:
        yield kind(given, door)


def connector_of(connection: Connection) -> type[Connector]:
    """The connector's class. Errors: ConfigError SYSTEM_UNKNOWN when it is not installed (any more)."""
    try:
        return get_connector(connection.system)
    except NotFoundError as error:
        raise ConfigError(
            f"The connector {connection.system!r} of this connection is not installed.", code="SYSTEM_UNKNOWN"
        ) from error


def _read(connection: Connection) -> tuple[Connection, list[Credential]]:
    """The connection and its secrets as they belong together."""
    with scope(workspace=connection.workspace_id):
        credentials = list(Credential.objects.filter(connection_id=connection.pk).select_related("connection"))
        current = credentials[0].connection if credentials else Connection.objects.get(pk=connection.pk)
    return current, credentials


def _complete(kind: type[Connector], config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The settings with the declared defaults filled in. Errors: ConfigError naming what is required and missing."""
    complete = dict(config)
    for field in kind.config:
        if field.secret:
            missing = not secrets.get(field.name)
        else:
            if complete.get(field.name) in (None, "") and field.default is not None:
                complete[field.name] = field.default
            missing = complete.get(field.name) in (None, "")
        if field.required and missing:
            raise ConfigError(
                f"The connection has no {field.name} ({field.title}); enter it and check again.",
                code="CONFIG_INCOMPLETE",
                extra={"missing": field.name},
            )
    return complete
