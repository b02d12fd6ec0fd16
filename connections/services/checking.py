"""Trying a connection out, and storing what was learned."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services.budget import take_call
from connections.services.health import CIRCUIT_FIELDS, close_circuit, record_trouble, tell
from connections.services.opening import open_connector
from connections.services.trying import Check, CheckOutcome, Trial, fit, try_out
from core.errors import ConflictError, LineshaftError
from workspaces import audit
from workspaces.choices import EventType

__all__ = ["Check", "CheckOutcome", "Trial", "check_connection", "fit", "mark_active", "try_out"]

WAS_AWAY = (ConnectionStatus.OFFLINE, ConnectionStatus.NEEDS_REAUTH)
LEARNED = ("online_since", "probed", "probed_at", "health", "error", "checked_at", "account", "system_version")

log = structlog.get_logger(__name__)


def check_connection(connection: Connection, *, by: str) -> CheckOutcome:
    """Sign in, read one object of each entity that the customer shares, and store what was learned.

    Signed in and at least one entity readable: the connection is active, with the error of an entity that is not
    (event `connection.online` after offline or needs_reauth). Else the failure is recorded: a pending connection stays
    pending, others become needs_reauth or count towards offline. Errors: ConflictError once it is disconnected.
    """
    if connection.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")
    audit.credential_used(connection.pk, connection.workspace_id, "check")
    opened_at = timezone.now()  # a refusal of what the customer replaces meanwhile tells nothing
    trial = _try(connection)
    if trial.works:
        _store(connection, trial)
    elif trial.error is not None:
        record_trouble(connection.pk, connection.workspace_id, trial.error, opened_at=opened_at)
        with scope(workspace=connection.workspace_id):
            Connection.objects.filter(pk=connection.pk).update(checked_at=Now())
    log.info("connection_checked", connection_id=str(connection.pk), by=by, ok=trial.outcome.ok)
    return trial.outcome


def mark_active(
    locked: Connection, *, account: str, version: str, probed: dict[str, Any] | None, error: dict[str, Any] | None
) -> None:
    """Store on the locked row what a good trial told; `error` is that of an entity which cannot be read.

    Event `connection.online` where it had been away.
    """
    was = locked.health
    close_circuit(locked)
    locked.health, locked.error, locked.checked_at = ConnectionStatus.ACTIVE, error, Now()
    locked.account, locked.system_version = fit(account, 200), fit(version, 80)
    if was in (*WAS_AWAY, ConnectionStatus.DISCONNECTED):
        locked.online_since = Now()
    locked.probed, locked.probed_at = probed or None, Now() if probed else None
    locked.save(update_fields=[*LEARNED, *CIRCUIT_FIELDS, "updated_at"])
    if was in WAS_AWAY:
        tell(locked, EventType.ONLINE, previous=was)


def _try(connection: Connection) -> Trial:
    try:
        with open_connector(connection, page_size=1) as connector:
            shared = [entity for entity in connector.resources() if connection.shares(entity)]
            return try_out(connector, shared, lambda: take_call(connection, connector.limits, for_operations=True))
    except LineshaftError as error:
        trial = Trial()
        trial.failed("reachable", error)
        return trial


def _store(connection: Connection, trial: Trial) -> None:
    told = trial.signed_in
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = _lock(connection.pk)
        if told is None or locked is None or locked.health == ConnectionStatus.DISCONNECTED:
            return
        mark_active(locked, account=told.account, version=told.version, probed=trial.probed, error=trial.outcome.error)


def _lock(pk: UUID) -> Connection | None:
    found: Connection | None = Connection.objects.select_for_update(no_key=True).filter(pk=pk).first()
    return found
