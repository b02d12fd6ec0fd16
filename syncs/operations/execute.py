"""Executing an operation: claim, then one step after the other as far as it goes now. Called by the Celery task."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django_scopes import scope, scopes_disabled

from connections.services import CallLog
from core import ids
from core.errors import NotFoundError
from core.leases import Lease, LeaseLostError, claim
from integrations.registry import get_connector
from integrations.sdk.connector import Connector
from syncs.models import Operation
from syncs.operations.attempt import Attempt
from syncs.operations.outcomes import DATABASE_LOST

log = structlog.get_logger(__name__)


def execute_operation(operation_id: UUID) -> None:
    """Work on an operation as far as it goes now. Safe to call any number of times, anywhere, at any moment."""
    with scopes_disabled():
        found = Operation.objects.filter(pk=operation_id).values_list("workspace_id", "connection__system").first()
    if found is None:
        return
    workspace_id, system = found
    shown = ids.show(Operation.PREFIX, operation_id)
    with scope(workspace=workspace_id), structlog.contextvars.bound_contextvars(operation_id=shown):
        lease = claim(Operation, operation_id, seconds=_call_seconds(system) + settings.SYNC_LEASE_MARGIN_SECONDS)
        if lease is None:
            return
        operation = Operation.objects.select_related("connection").get(pk=operation_id)
        try:
            _attempt(operation, lease)
        except LeaseLostError:
            log.warning("lease_lost", fence=lease.fence)
        except DATABASE_LOST:
            # Nothing can be written now. The lease runs out and a tick tells again; what was sent is looked up then.
            log.exception("database_lost")
            connection.close()


def _attempt(operation: Operation, lease: Lease) -> None:
    calls = CallLog(operation.connection)
    try:
        Attempt(operation, lease, calls).work()
    finally:
        if len(calls) and not connection.needs_rollback:
            calls.save(operation_id=operation.pk, triggered_by=operation.requested_by)


def _call_seconds(system: str) -> float:
    try:
        return get_connector(system).call_seconds
    except NotFoundError:  # not installed (any more): the row is claimed all the same, and told so
        return Connector.call_seconds
