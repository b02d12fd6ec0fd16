"""From a stored connection to a connector that can speak: secrets in clear exist only in here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection, Credential
from connections.services.grants import place_of
from connections.services.renewing import GrantTokens
from core.errors import ConfigError, NotFoundError
from core.http import CallRecord, Door, TlsOptions, connection_policy
from integrations.registry import get_connector
from integrations.sdk.auth import TokenAuth
from integrations.sdk.connector import Connector, ConnectorSettings
from integrations.sdk.oauth import Issued
from integrations.sdk.sessions import DraftTokens
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
        reread=_Rereading(kind, current) if secrets else None,
    )
    hidden = [*secrets.values(), *([client_key] if client_key else [])]
    tls = _tls_of(current, client_key)
    with open_door(tls=tls, proxy=current.proxy or None, secrets=hidden, on_call=on_call) as door:
        if isinstance(kind.auth, TokenAuth):
            given.tokens = GrantTokens(kind.auth, current, kind, given, door)
        yield kind(given, door)


@contextmanager
def open_draft(
    kind: type[Connector],
    *,
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
    zone: str = "UTC",
    issued: Issued | None = None,
    page_size: int | None = 1,
    like: Connection | None = None,
) -> Iterator[Connector]:
    """The connector of a connection that is not stored yet, to try it out. `issued` is what a person's OAuth sign-in
    gave; other tokens it gets by itself and forgets. `like` is the one that it shall replace: its time zone, certificates
    and proxy hold here too. Errors: ConfigError CONFIG_INCOMPLETE.
    """
    zone = like.time_zone if like else zone
    given = ConnectorSettings(
        config=_complete(kind, config, secrets), secrets=dict(secrets), zone=ZoneInfo(zone), page_size=page_size
    )
    with door_like(like, secrets=secrets.values()) as door:
        if isinstance(kind.auth, TokenAuth):
            given.tokens = DraftTokens(kind.auth, given, door, issued)
        yield kind(given, door)


def open_door(*, secrets: Iterable[str] = (), **options: Any) -> Door:
    """A door for calls of connections, to be closed; `options` as of Door. Link exchanges its codes through one."""
    return Door(connection_policy(settings.EGRESS_ALLOWED_NETWORKS), secrets=secrets, **options)


def door_like(connection: Connection | None, *, secrets: Iterable[str] = ()) -> Door:
    """A door through which a stored connection's host is reached as by that connection; of None a plain one."""
    if connection is None:
        return open_door(secrets=secrets)
    current, credentials = _read(connection)
    client_key = next((open_secret(row) for row in credentials if row.name == TLS_CLIENT_KEY), None)
    hidden = [*secrets, *([client_key] if client_key else [])]
    return open_door(tls=_tls_of(current, client_key), proxy=current.proxy or None, secrets=hidden)


def _tls_of(connection: Connection, client_key: str | None) -> TlsOptions:
    return TlsOptions(
        ca_certificate=connection.ca_certificate or None,
        client_certificate=connection.client_certificate or None,
        client_key=client_key,
    )


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


class _Rereading:
    """After a refusal: the secrets as their stores have them now, a secrets manager asked anew."""

    def __init__(self, kind: type[Connector], opened: Connection) -> None:
        self._kind, self._opened, self._home = kind, opened, threading.get_ident()

    def __call__(self) -> dict[str, str] | None:
        """None when the connection leads elsewhere now, whose secrets are not for where the refusal came from, or when
        it was ended and has none."""
        try:
            current, credentials = _read(self._opened)
            if (
                not credentials
                or current.config != self._opened.config
                or place_of(self._kind, current, {}) != place_of(self._kind, self._opened, {})
            ):
                return None
            return {each.name: open_secret(each, fresh=True) for each in credentials if each.name != TLS_CLIENT_KEY}
        except Connection.DoesNotExist:
            return None
        finally:
            if threading.get_ident() != self._home:
                database.close()  # a thread of the connector's keeps no session open


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
