"""A few upstream reads at a caller's request: within the connection's circuit and request budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connections.models import Connection
from connections.services import let_probe_through, open_connector, take_call
from core.errors import RateLimitedError, TransientError
from integrations.sdk.connector import Connector


@contextmanager
def calls_to(connection: Connection) -> Iterator[tuple[Connector, Callable[[], None]]]:
    """The connection's connector, and what to ask before each call.

    Errors: TransientError while the circuit is open, RateLimitedError when the budget is used up.
    """
    if connection.circuit_open_until is not None and not let_probe_through(connection.pk, connection.workspace_id):
        raise TransientError("The system does not answer at the moment; try again later.")
    with open_connector(connection) as connector:

        def take() -> None:
            seconds = take_call(connection, connector.limits, for_operations=True)
            if seconds > 0:
                raise RateLimitedError("The connection's request budget is used up.", retry_after=seconds)

        yield connector, take
