"""A few upstream reads at a caller's request: within the connection's circuit and request budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import let_probe_through, open_connector, take_call
from core.errors import AuthError, ConflictError, RateLimitedError, TransientError
from integrations.sdk.connector import Connector
from workspaces import audit

PATIENCE_SECONDS = 3.0


@contextmanager
def calls_to(connection: Connection) -> Iterator[tuple[Connector, Callable[[], None]]]:
    """The connection's connector, and what to ask before each call.

    Errors: those of `refuse_if_away`; TransientError while the circuit is open, RateLimitedError when the budget has no
    call to give within a few seconds.
    """
    refuse_if_away(connection)
    if connection.circuit_open_until is not None and not let_probe_through(connection.pk, connection.workspace_id):
        raise TransientError("The system does not answer at the moment; try again later.")
    audit.credential_used(connection.pk, connection.workspace_id, "lookup")
    with open_connector(connection) as connector:

        def take() -> None:
            until = time.monotonic() + PATIENCE_SECONDS
            while (seconds := take_call(connection, connector.limits, for_operations=True)) > 0:
                if time.monotonic() + seconds > until:
                    raise RateLimitedError("The connection's request budget is used up.", retry_after=seconds)
                time.sleep(seconds)

        yield connector, take


def refuse_if_away(connection: Connection) -> None:
    """Errors: AuthError, ConflictError when nothing can be done with the connection until a person acts."""
    if connection.health == ConnectionStatus.NEEDS_REAUTH:
        raise AuthError("The customer must sign in again before anything can be done.", code="NEEDS_REAUTH")
    if connection.health in (ConnectionStatus.DISCONNECTED, ConnectionStatus.PENDING):
        raise ConflictError(
            f"The connection is {connection.health}; check or reconnect it first.", code="CONNECTION_NOT_ACTIVE"
        )
