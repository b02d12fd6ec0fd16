"""The end of a connection, and what comes after it: disconnected, reconnected, deleted.

What runs for a connection stops by itself: every claim, page and request about to be sent asks for its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import ConnectionStatus, LinkStatus
from connections.models import Connection, Grant, LinkSecret, LinkSession
from connections.services.checking import check_connection
from connections.services.credentials import store_secrets, stored_names
from connections.services.health import CIRCUIT_FIELDS, close_circuit, tell
from connections.services.lifecycle import CERTIFICATES, apply_changes, lock, reread, tell_audit
from connections.services.systems import demand_enabled
from core.errors import ConflictError
from workspaces import tokens
from workspaces.choices import EventType

UNUSED_LINKS = (LinkStatus.OPEN, LinkStatus.STARTED, LinkStatus.FINISHED)

log = structlog.get_logger(__name__)


def disconnect_connection(connection: Connection, *, by: str) -> Connection:
    """End a connection: its secrets are deleted, its tokens revoked, its copy stays readable. Twice changes nothing.

    Event `connection.disconnected`, once.
    """
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = lock(connection)
        if locked.health != ConnectionStatus.DISCONNECTED:
            _end(locked)
            tell_audit("disconnected", locked)
            log.info("connection_disconnected", connection_id=str(connection.pk), by=by)
    reread(connection)
    return connection


def reconnect_connection(
    connection: Connection,
    *,
    config: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any],
    client_certificate: str | None = None,
    client_key: str = "",
    by: str,
    check: bool = True,
) -> Connection:
    """Bring a disconnected connection back with its id, records and schedules, then try it out.

    `config`: each key given is set, or removed by None; what else it had stays. All secrets are entered anew or referred
    to, a client certificate's key as well. It is `pending` until a check goes well; its syncs are due then and catch up
    from where they stood. Its tokens stay revoked.
    Errors: ConflictError CONNECTION_NOT_DISCONNECTED, ValidationFailedError with a pointer per value, BusinessRuleError
    SYSTEM_DISABLED.
    """
    changes: dict[str, Any] = {"config": dict(config or {})}
    if client_certificate is not None:
        changes["client_certificate"] = client_certificate
    if client_key:
        changes["client_key"] = client_key
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = lock(connection)
        _refuse_unless_disconnected(locked)
        demand_enabled(locked.workspace_id, locked.system, locked.environment)
        apply_changes(locked, changes, dict(secrets))
        locked.save(update_fields=["config", *CERTIFICATES, "updated_at"])
        revive(locked)
    log.info("connection_reconnected", connection_id=str(connection.pk), by=by)
    if check:
        check_connection(locked, by=by)
    reread(connection)
    return connection


def revive(locked: Connection) -> bool:
    """Let a disconnected connection begin again, as `pending`. Answers whether it was disconnected.

    In the caller's transaction, which holds the connection's row lock and stores the new secrets or grant.
    Errors: ConflictError CONNECTION_DELETED for one that was deleted.
    """
    _refuse_deleted(locked)
    if locked.health != ConnectionStatus.DISCONNECTED:
        return False
    locked.health, locked.error = ConnectionStatus.PENDING, None
    locked.online_since = Now()  # what failed before it has nothing to wait for any more
    close_circuit(locked)
    locked.save(update_fields=["health", "error", "online_since", *CIRCUIT_FIELDS, "updated_at"])
    tell_audit("reconnected", locked)
    return True


def delete_connection(connection: Connection, *, by: str) -> Connection:
    """Delete a connection and everything of it. Its secrets go now, and it is there for nobody from now on.

    The room above purges the rest in batches and leaves a receipt in the audit log. Twice changes nothing.
    """
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = lock(connection)
        if locked.purge_requested_at is None:
            was, secrets = locked.status, len(stored_names(locked))
            if locked.health != ConnectionStatus.DISCONNECTED:
                _end(locked)
            LinkSecret.objects.filter(session__connection_id=locked.pk).delete()
            unused = LinkSession.objects.filter(connection_id=locked.pk, status__in=UNUSED_LINKS)
            unused.update(status=LinkStatus.CANCELLED, finished_at=Now())
            locked.purge_requested_at = Now()
            locked.purge_progress = {"rows": {"secrets": secrets} if secrets else {}}  # for the receipt
            locked.save(update_fields=["purge_requested_at", "purge_progress", "updated_at"])
            tell_audit("deleted", locked, was=was)
            log.info("connection_deleted", connection_id=str(connection.pk), by=by)
    reread(connection)
    return connection


def _end(locked: Connection) -> None:
    """Everything that opens something goes, in the caller's transaction."""
    locked.health, locked.error = ConnectionStatus.DISCONNECTED, None
    locked.save(update_fields=["health", "error", "updated_at"])
    store_secrets(locked, dict.fromkeys(stored_names(locked)))
    Grant.objects.filter(connection_id=locked.pk).delete()
    # Once more while some were found: a token made by a rotation that we waited for is seen by the next look only.
    while tokens.revoke_connection_tokens(connection_id=locked.pk):
        pass
    tell(locked, EventType.DISCONNECTED)


def _refuse_unless_disconnected(locked: Connection) -> None:
    _refuse_deleted(locked)
    if locked.health != ConnectionStatus.DISCONNECTED:
        raise ConflictError(
            f"The connection is {locked.status}, not disconnected. Change its settings and secrets by PATCH instead.",
            code="CONNECTION_NOT_DISCONNECTED",
        )


def _refuse_deleted(locked: Connection) -> None:
    if locked.purge_requested_at is not None:
        raise ConflictError("The connection was deleted; make a new one.", code="CONNECTION_DELETED")
