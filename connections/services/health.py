"""What calls and polls tell about a connection: offline and back, the circuit, and when the customer must sign in again.

The one place that judges. Everything here is one short transaction that locks the connection's row, with its events in
it. Times are the database's clock. The states:

- well: each transient failure counts one up, each good call resets the count. Failures and good calls in turn are nothing.
- offline, from the 3rd failure in a row: one event. Calls still go out, and the poller asks again soon.
- offline with an open circuit, from the 5th: no calls until `circuit_open_until`. Then half-open: exactly one probe goes
  out. If it fails the circuit opens again, for twice as long, up to 15 minutes; if it is answered the circuit closes.
- back, with the 2nd good call in a row: one event.

`next_poll_at` is moved here too, so that the poller asks only what nothing else was heard of: see `polling`.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
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

FAILURES_TO_OFFLINE, GOOD_TO_ONLINE = 3, 2
FAILURES_THAT_OPEN = 5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 900.0
PROBE_SECONDS = 60
_REAUTH = ConnectionStatus.NEEDS_REAUTH

# A good call moves the next poll away, but not each one: a tenth of the interval may pass between two of these writes.
# A row that somebody holds is left alone; the next good call finds it free.
_HEARD = """WITH heard AS (
    UPDATE connections_connection SET next_poll_at = clock_timestamp() + %(poll)s * (1.1 + 0.1 * random())
    WHERE id = (SELECT id FROM connections_connection
        WHERE id = %(id)s AND workspace_id = %(workspace)s AND health = 'active' AND (next_poll_at IS NULL
            OR next_poll_at NOT BETWEEN clock_timestamp() + %(poll)s AND clock_timestamp() + %(poll)s * 1.3)
        FOR NO KEY UPDATE SKIP LOCKED))
SELECT 1 FROM connections_connection WHERE id = %(id)s AND workspace_id = %(workspace)s
  AND (failures_in_row > 0 OR circuit_open_until IS NOT NULL OR health = 'offline' OR error IS NOT NULL)"""
_PROBE = """UPDATE connections_connection SET probing = true,
    circuit_open_until = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND workspace_id = %s AND circuit_open_until <= clock_timestamp()"""
_IS_OPEN = "SELECT circuit_open_until > clock_timestamp() FROM connections_connection WHERE id = %s"


def record_success(connection_id: UUID, workspace_id: UUID) -> None:
    """A call was answered well: close the circuit, forget the failures, and after two such calls in a row be active again
    (event `connection.online`).

    One statement when nothing was wrong. What waits for a person (needs_reauth, disconnected, pending) stays so.
    """
    values: dict[str, Any] = {
        "id": connection_id,
        "workspace": workspace_id,
        "poll": timedelta(seconds=settings.HEALTH_POLL_SECONDS),
    }
    with database.cursor() as cursor:
        cursor.execute(_HEARD, values)
        if cursor.fetchone() is None:
            return
    with scope(workspace=workspace_id), transaction.atomic():
        connection = _lock(connection_id)
        if connection is None or connection.health not in MAY_SYNC:
            return
        if _count_good(connection):
            connection.error = None
        connection.save(update_fields=["error", *HEALTH_FIELDS])


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
        elif connection.health == ConnectionStatus.OFFLINE and error.source is not None:
            _count_good(connection)  # whatever it refused: it answers
        else:
            connection.next_poll_at = _in(settings.HEALTH_POLL_SECONDS)
        connection.save(update_fields=["error", *HEALTH_FIELDS])


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


CIRCUIT_FIELDS = (
    "failures_in_row", "circuit_open_until", "probing", "good_in_row", "offline_since", "next_poll_at",
)  # fmt: skip
HEALTH_FIELDS = ("health", "online_since", "updated_at", *CIRCUIT_FIELDS)


def close_circuit(connection: Connection) -> None:
    """Set the fields of a closed circuit; the caller saves CIRCUIT_FIELDS."""
    connection.failures_in_row, connection.circuit_open_until, connection.probing = 0, None, False
    connection.good_in_row, connection.offline_since = 0, None
    connection.next_poll_at = _in(settings.HEALTH_POLL_SECONDS)


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
    connection.save(update_fields=["error", *HEALTH_FIELDS])
    if was_syncing:
        tell(connection, EventType.NEEDS_REAUTH, error=connection.error)


def _count_good(connection: Connection) -> bool:
    """One more answer; the caller saves HEALTH_FIELDS. Whether the connection is active now: one that was offline needs
    two in a row, and the second is asked for at once."""
    was_offline = connection.health == ConnectionStatus.OFFLINE
    good, since = connection.good_in_row + 1, connection.offline_since
    close_circuit(connection)
    if was_offline and good < GOOD_TO_ONLINE:
        connection.good_in_row, connection.offline_since, connection.next_poll_at = good, since, Now()
        return False
    connection.health = ConnectionStatus.ACTIVE
    if was_offline:
        connection.online_since = Now()
        tell(connection, EventType.ONLINE, previous=ConnectionStatus.OFFLINE)
    return True


def _count_failure(connection: Connection) -> None:
    """One more failure; the caller saves HEALTH_FIELDS. Failures that come in while the circuit is open belong to calls
    made before: they do not count, or four workers failing together would lengthen the wait sixteenfold."""
    if _is_open(connection) and not connection.probing:
        return
    connection.failures_in_row += 1
    connection.good_in_row, connection.probing = 0, False
    seconds = _wait_seconds(connection.failures_in_row)
    connection.next_poll_at = _in(seconds)
    if connection.failures_in_row >= FAILURES_THAT_OPEN:
        connection.circuit_open_until = Now() + timedelta(seconds=seconds)
    if connection.failures_in_row >= FAILURES_TO_OFFLINE and connection.health == ConnectionStatus.ACTIVE:
        connection.health, connection.offline_since = ConnectionStatus.OFFLINE, Now()
        tell(connection, EventType.OFFLINE, error=connection.error)


def _wait_seconds(failures: int) -> float:
    """How long after this many failures in a row it is asked again; the circuit is open as long."""
    first = min(FIRST_WAIT_SECONDS, settings.HEALTH_POLL_SECONDS)
    return float(min(first * 2 ** min(max(failures - FAILURES_THAT_OPEN, 0), 10), LONGEST_WAIT_SECONDS))


def _in(seconds: float) -> Any:
    """That far from now, and up to a fifth longer, so that not all are asked at once."""
    return Now() + timedelta(seconds=seconds * random.uniform(1.0, 1.2))


def _is_open(connection: Connection) -> bool:
    if connection.circuit_open_until is None:
        return False
    with database.cursor() as cursor:
        cursor.execute(_IS_OPEN, [connection.pk])
        (is_open,) = cursor.fetchone()
    return bool(is_open)
