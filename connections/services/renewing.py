"""Tokens of a stored connection: one exchange however many workers need one, none lost when a worker dies.

Whoever finds the token ended claims the row, exchanges, and stores the new grant before using it. The others look at the
row until its generation rises. A claim whose holder died ends with its lease, and then somebody else takes it; one that
was given up (the system does not answer) fails those who waited for it too, so an outage is not asked by each of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import InterfaceError, OperationalError
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection
from connections.services.grants import (
    Held,
    claim_grant,
    ensure_grant,
    keep_grant,
    place_of,
    read_grant,
    release_grant,
)
from connections.services.oauth_clients import oauth_client_of
from core.errors import AuthError, LineshaftError, TransientError
from core.http import Door
from integrations.sdk.auth import OAuth2Code, TokenAuth
from integrations.sdk.connector import PATIENCE_SECONDS, Connector, ConnectorSettings
from integrations.sdk.oauth import EXCHANGE_SECONDS, Issued, OAuthClient
from integrations.sdk.sessions import get_token

LEASE_MARGIN_SECONDS = 10.0
"""How much longer than one exchange a claim lasts. Nothing is sent later than this after claiming, so no exchange
outlasts its claim, however long a worker was frozen."""

POLL_SECONDS = 0.1
KEEPING_SECONDS, KEEPING_PAUSE_SECONDS = 10.0, 0.5
"""How long a new grant is tried to be stored while the database is away."""

log = structlog.get_logger(__name__)


class GrantTokens:
    """The tokens of one connector, as `integrations.sdk.connector.Tokens`. Used in whichever thread makes the calls.

    `connection` and `settings` are those that the connector was opened with; what belongs to another address or account
    is not used.
    """

    def __init__(
        self, auth: TokenAuth, connection: Connection, kind: type[Connector], settings: ConnectorSettings, door: Door
    ) -> None:
        self._auth, self._connection, self._settings, self._door = auth, connection, settings, door
        self._place = place_of(kind, connection, settings.secrets)
        self._kind = kind
        self._exchange_seconds = min(EXCHANGE_SECONDS, kind.call_seconds)
        self._home = threading.get_ident()
        self._issued: Issued | None = None
        self._ends_at: float | None = None  # on the clock of time.monotonic(), ahead of the token's own end
        with self._database():
            if (held := read_grant(connection.pk)) is not None and self._is_ours(held):
                self._adopt(held)

    def current(self, seconds: float = PATIENCE_SECONDS) -> str:
        if self._issued is None or self._is_over():
            with self._database():
                self._obtain(seconds, refused=None)
        return self._token()

    def renew(self, refused: str, seconds: float = PATIENCE_SECONDS) -> str:
        if self._issued is None or self._issued.access_token == refused:
            with self._database():
                self._obtain(seconds, refused=refused)
        return self._token()

    # --- what is held here ------------------------------------------------------------------------------------------

    def _token(self) -> str:
        if self._issued is None:
            raise AuthError("Nobody has signed in to this system yet.", code="SIGN_IN_NEEDED")
        return self._issued.access_token

    def _is_over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _adopt(self, held: Held) -> None:
        self._issued = held.issued
        if held.issued is not None:
            self._door.hide(*held.issued.secrets)
        left = held.seconds_ahead()
        self._ends_at = None if left is None else time.monotonic() + left

    def _is_ours(self, held: Held) -> bool:
        return held.issued is not None and held.place == self._place

    # --- a new one --------------------------------------------------------------------------------------------------

    def _obtain(self, seconds: float, *, refused: str | None) -> None:
        """Have a token that lasts and is not the refused one: somebody else's, or by an exchange of our own."""
        deadline, watched = time.monotonic() + seconds, None
        while True:
            held = self._read()
            if self._serves(held, refused):
                return self._adopt(held)
            if held.is_claimed:
                watched = held.fence
            elif held.is_released and held.fence == watched:
                detail = "Another worker could not renew the sign-in just now; it is tried again."
                raise TransientError(detail, code="RENEWAL_FAILED")
            elif deadline - time.monotonic() >= min(self._exchange_seconds, seconds) or watched is None:
                lease = self._exchange_seconds + LEASE_MARGIN_SECONDS
                fence = claim_grant(self._connection.pk, held, seconds=lease)
                if fence is not None and self._exchange(held, fence):
                    return None
            if time.monotonic() >= deadline:
                detail = "Another worker renews the sign-in and has not finished; it is tried again."
                raise TransientError(detail, code="RENEWAL_SLOW")
            time.sleep(POLL_SECONDS)

    def _read(self) -> Held:
        """The row. Errors: AuthError when only a person can make one for this address."""
        held = read_grant(self._connection.pk)
        if held is None and not isinstance(self._auth, OAuth2Code):
            ensure_grant(self._connection.pk, self._connection.workspace_id)
            held = read_grant(self._connection.pk)
        if held is None:
            raise AuthError("Nobody is signed in to this system. Sign in again.", code="SIGN_IN_NEEDED")
        if isinstance(self._auth, OAuth2Code) and not self._is_ours(held):
            detail = "The connection's address changed since somebody signed in. Sign in again."
            raise AuthError(detail, code="SIGN_IN_NEEDED")
        return held

    def _serves(self, held: Held, refused: str | None) -> bool:
        if held.issued is None or not self._is_ours(held) or held.issued.access_token == refused:
            return False
        return held.is_fresh()

    def _exchange(self, held: Held, fence: int) -> bool:
        """One exchange under a claim. False when what it gave, or its refusal, does not count: look at the row again."""
        not_after = time.monotonic() + LEASE_MARGIN_SECONDS
        last = held.issued if self._is_ours(held) else None
        try:
            issued = get_token(
                self._auth,
                self._settings,
                self._door,
                client_of=self._client,
                last=last,
                seconds=self._exchange_seconds,
                not_after=not_after,
            )
        except LineshaftError as error:
            return self._after_failure(error, held, fence)
        except BaseException:
            release_grant(self._connection.pk, fence)
            raise
        self._place = place_of(self._kind, self._connection, self._settings.secrets)
        kept = self._keep(issued, fence)
        log.info("grant_renewed", connection_id=str(self._connection.pk), generation=held.generation + 1, kept=kept)
        if kept:
            self._adopt(Held.of(issued, self._place, held.generation + 1, fence))
        return kept

    def _keep(self, issued: Issued, fence: int) -> bool:
        """Store it, patiently: a refresh token that is lost now costs a person a sign-in."""
        deadline = time.monotonic() + KEEPING_SECONDS
        while True:
            try:
                return keep_grant(self._connection, issued, place=self._place, fence=fence)
            except (OperationalError, InterfaceError):
                if time.monotonic() >= deadline or database.in_atomic_block:
                    raise
                log.warning("grant_not_stored_yet", connection_id=str(self._connection.pk))
                database.close()
                time.sleep(KEEPING_PAUSE_SECONDS)

    def _after_failure(self, error: LineshaftError, held: Held, fence: int) -> bool:
        """Whoever renewed it meanwhile, or does so now, has made the failure void: a refusal was about the token before."""
        now = read_grant(self._connection.pk)
        if now is not None and (now.generation, now.fence) != (held.generation, fence):
            return False
        release_grant(self._connection.pk, fence)
        log.warning("grant_not_renewed", connection_id=str(self._connection.pk), code=error.code)
        raise error

    def _client(self, *, fresh: bool = False) -> OAuthClient:
        at = self._connection
        config = self._settings.config
        return oauth_client_of(at.workspace_id, at.system, at.environment, config=config, fresh=fresh)

    @contextmanager
    def _database(self) -> Iterator[None]:
        """The connection's scope, which a new thread does not have; a thread that is not ours keeps no session open."""
        try:
            with scope(workspace=self._connection.workspace_id):
                yield
        finally:
            if threading.get_ident() != self._home:
                database.close()
