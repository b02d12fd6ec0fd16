"""The poller: one cheap call to each connection that nothing good was heard of for `HEALTH_POLL_SECONDS`.

Who polls claims `next_poll_at` by one conditional UPDATE, so of two workers one does it. No lock is held during the call.
What comes of it is judged, and the next poll set, in `health`. A worker that dies leaves a poll that falls due again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection as database
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services.budget import take_call
from connections.services.health import let_probe_through, record_success, record_trouble
from connections.services.opening import connector_of, open_connector
from connections.services.trying import CALL_SECONDS, understood
from core.errors import LineshaftError
from workspaces import audit

TASK, QUEUE = "connections.poll_health", "events"
CLAIM_SECONDS = 120
"""Longer than a poll can take: a sign-in and a check, each of 15 seconds at the most, and waiting for another's sign-in."""

_CLAIM = """UPDATE connections_connection SET next_poll_at = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND health IN ('active', 'offline') AND NOT paused AND purge_requested_at IS NULL
  AND next_poll_at <= clock_timestamp()"""

log = structlog.get_logger(__name__)


def due_polls(limit: int) -> list[tuple[UUID, datetime]]:
    """Which connections are to be asked now, and since when: those that waited longest first."""
    with scopes_disabled():
        rows = Connection.objects.to_be_polled().filter(next_poll_at__lte=Now()).order_by("next_poll_at")
        return list(rows.values_list("pk", "next_poll_at")[:limit])


def poll_health(connection_id: UUID) -> bool:
    """Ask the connection's system whether it answers, if that is due. Whether it was asked."""
    connection = _claim(connection_id)
    if connection is None:
        return False
    try:
        wait = take_call(connection, connector_of(connection).limits, for_operations=True)
        if wait:
            _put_off(connection, timedelta(seconds=wait))
            return False
        if connection.circuit_open_until is not None and not let_probe_through(connection.pk, connection.workspace_id):
            _put_off(connection, timedelta(seconds=1))
            return False
        _ask(connection)
    except LineshaftError as error:
        record_trouble(connection.pk, connection.workspace_id, error)
    return True


def _claim(connection_id: UUID) -> Connection | None:
    with database.cursor() as cursor:
        cursor.execute(_CLAIM, [CLAIM_SECONDS, connection_id])
        if not cursor.rowcount:
            return None
    with scopes_disabled():
        found: Connection | None = Connection.objects.filter(pk=connection_id).first()
    return found


def _ask(connection: Connection) -> None:
    audit.credential_used(connection.pk, connection.workspace_id, "health")
    opened_at = timezone.now()  # a refusal of what the customer replaces meanwhile tells nothing
    trouble: LineshaftError | None = None
    try:
        with open_connector(connection, page_size=1) as connector:
            connector.call_seconds = min(connector.call_seconds, CALL_SECONDS)  # type: ignore[misc]  # of this one alone
            with understood(connector):
                connector.check()
    except LineshaftError as error:
        trouble = error
    if trouble is None:
        record_success(connection.pk, connection.workspace_id)
    else:
        record_trouble(connection.pk, connection.workspace_id, trouble, opened_at=opened_at)
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(checked_at=Now())
    log.info(
        "health_polled", connection_id=str(connection.pk), ok=trouble is None, code=trouble.code if trouble else ""
    )


def _put_off(connection: Connection, wait: timedelta) -> None:
    """It may not be called yet: its budget is spent, or its circuit is open."""
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(
            next_poll_at=Greatest(Now() + wait, F("circuit_open_until"))  # PostgreSQL leaves an empty one out
        )
