"""What calls tell about a connection: the circuit, offline and back, and when the customer must sign in again.

Everything here is one short transaction that locks the connection's row, with its events in it. Times are the
database's clock. The states:

- closed: calls go out. Each transient failure counts one up, each success resets.
- open, from the 5th failure in a row: no calls until `circuit_open_until`; offline, one event.
- half-open, after that time: exactly one probe goes out. It closes the circuit or opens it again, for twice as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import MAY_SYNC, ConnectionStatus
from connections.models import Connection, Grant
from connections.services.error_texts import error_json
from core.errors import Category, LineshaftError
from workspaces.choices import EventType
from workspaces.events import emit

FAILURES_THAT_OPEN = 5
FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS = 60, 3600
PROBE_SECONDS = 60
_REAUTH = ConnectionStatus.NEEDS_REAUTH

_TROUBLED = """SELECT 1 FROM connections_connection WHERE id = %s AND workspace_id = %s
  AND (failures_in_row > 0 OR circuit_open_until IS NOT NULL OR health = 'offline' OR error IS NOT NULL)"""
_PROBE = """UPDATE connections_connection SET probing = true,
    circuit_open_until = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND workspace_id = %s AND circuit_open_until <= clock_timestamp()"""
_OPEN = """UPDATE connections_connection SET circuit_open_until = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND workspace_id = %s"""
_IS_OPEN = "SELECT circuit_open_until > clock_timestamp() FROM connections_connection WHERE id = %s"


def record_success(connection_id: UUID, workspace_id: UUID) -> None:
    """A call was answered well: close the circuit, forget the failures, be active again (event `connection.online`).

    One indexed read when nothing was wrong. What waits for a person (needs_reauth, disconnected, pending) stays so.
    """
    with database.cursor() as cursor:
        cursor.execute(_TROUBLED, [connection_id, workspace_id])
        if cursor.fetchone() is None:
            return
    with scope(workspace=workspace_id), transaction.atomic():
        connection = _lock(connection_id)
        if connection is None or connection.health not in MAY_SYNC:
            return
        was = connection.health
        close_circuit(connection)
        connection.health, connection.error = ConnectionStatus.ACTIVE, None
        if was == ConnectionStatus.OFFLINE:
            connection.online_since = Now()
        connection.save(update_fields=["health", "error", "online_since", *CIRCUIT_FIELDS, "updated_at"])
        if was == ConnectionStatus.OFFLINE:
            tell(connection, EventType.ONLINE, previous=was)


def record_trouble(
    connection_id: UUID, workspace_id: UUID, error: LineshaftError, *, opened_at: datetime | None = None
) -> None:
    """A call failed: keep the error, count what is transient, ask for a new sign-in where that is the trouble.

    `opened_at` is when the caller took its secrets. A refusal of secrets that were replaced since then, or of a
    sign-in before the last one, tells nothing.
    """
    with scope(workspace=workspace_id), transaction.atomic():
        connection = _lock(connection_id)
        if connection is None or connection.health == ConnectionStatus.DISCONNECTED:
            return
        if error.category is Category.AUTH:
            if opened_at is not None and _signed_in_since(connection, opened_at):
                return
            return _needs_reauth(connection, error)
        if connection.health == _REAUTH:
            return  # who must sign in again comes first; a worker's late failure must not hide it
        connection.error = error_json(error)
        if error.category is Category.TRANSIENT:
            _count_failure(connection)
        connection.save(update_fields=["health", "error", "failures_in_row", "probing", "updated_at"])


def let_probe_through(connection_id: UUID, workspace_id: UUID) -> bool:
    """Whether a call may go out: always while the circuit is closed, never while it is open, and once it is half-open
    for exactly one caller in 60 s (a probe that dies with its worker is followed by another)."""
    with database.cursor() as cursor:
        cursor.execute(_PROBE, [PROBE_SECONDS, connection_id, workspace_id])
        if cursor.rowcount:
            return True
        cursor.execute(
            "SELECT circuit_open_until IS NULL FROM connections_connection WHERE id = %s AND workspace_id = %s",
            [connection_id, workspace_id],
        )
        row = cursor.fetchone()
    return row is not None and bool(row[0])


CIRCUIT_FIELDS = ("failures_in_row", "circuit_open_until", "probing")


def close_circuit(connection: Connection) -> None:
    """Set the fields of a closed circuit; the caller saves CIRCUIT_FIELDS."""
    connection.failures_in_row, connection.circuit_open_until, connection.probing = 0, None, False


def tell(connection: Connection, type: EventType, **data: Any) -> None:
    """Emit an event of this connection, in the caller's transaction."""
    emit(
        type,
        workspace_id=connection.workspace_id,
        environment=connection.environment,
        connection_id=connection.pk,
        data={"system": connection.system, "status": connection.status, **data},
    )


def _signed_in_since(connection: Connection, moment: datetime) -> bool:
    """Whether a secret was replaced, or a person signed in anew. A renewal is neither: it does not touch `updated_at`."""
    return (
        connection.credentials.filter(updated_at__gt=moment).exists()
        or Grant.objects.filter(connection_id=connection.pk, updated_at__gt=moment).exists()
    )


def _lock(connection_id: UUID) -> Connection | None:
    found: Connection | None = Connection.objects.select_for_update(no_key=True).filter(pk=connection_id).first()
    return found


def _needs_reauth(connection: Connection, error: LineshaftError) -> None:
    """The system answered, so the circuit closes; the customer must act, told once."""
    was_syncing = connection.health in MAY_SYNC
    connection.error = error_json(error)
    close_circuit(connection)
    if was_syncing:
        connection.health = _REAUTH
    connection.save(update_fields=["health", "error", *CIRCUIT_FIELDS, "updated_at"])
    if was_syncing:
        tell(connection, EventType.NEEDS_REAUTH, error=connection.error)


def _count_failure(connection: Connection) -> None:
    """One more failure. Failures that come in while the circuit is open belong to calls made before: they do not
    count, or four workers failing together would lengthen the wait sixteenfold."""
    if _is_open(connection) and not connection.probing:
        return
    connection.failures_in_row += 1
    connection.probing = False
    beyond = connection.failures_in_row - FAILURES_THAT_OPEN
    if beyond < 0:
        return
    seconds = min(FIRST_OPEN_SECONDS * 2 ** min(beyond, 10), LONGEST_OPEN_SECONDS)
    with database.cursor() as cursor:
        cursor.execute(_OPEN, [seconds, connection.pk, connection.workspace_id])
    if connection.health == ConnectionStatus.ACTIVE:
        connection.health = ConnectionStatus.OFFLINE
        tell(connection, EventType.OFFLINE, error=connection.error)


def _is_open(connection: Connection) -> bool:
    if connection.circuit_open_until is None:
        return False
    with database.cursor() as cursor:
        cursor.execute(_IS_OPEN, [connection.pk])
        (is_open,) = cursor.fetchone()
    return bool(is_open)
