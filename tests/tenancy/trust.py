"""Rows of a place and its workspace about trust: keys, references, link sessions, settings of systems, the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from connections.models import Connection, Grant, LinkSecret, LinkSession, SystemSecret, SystemSettings
from core import ids
from workspaces import audit
from workspaces.data_keys import current_cipher
from workspaces.models import AuditEvent, SecretPrefix, Workspace
from workspaces.secrets import seal


def give_keys(word: str, workspace: Workspace) -> None:
    """A data key, and a prefix where its references may lead."""
    current_cipher(workspace.pk)
    SecretPrefix.objects.create(workspace=workspace, prefix=f"vault:kv/{word}/")


def give_system_settings(word: str, workspace: Workspace, environment: str, system: str) -> None:
    made, _ = SystemSettings.objects.get_or_create(
        workspace=workspace, system=system, environment=environment, defaults={"oauth_client_id": f"{word}-client"}
    )
    if not made.secrets.exists():
        _sealed(SystemSecret(workspace=workspace, settings=made, name="oauth_client_secret"), f"{word}-secret")


def give_grant(connection: Connection) -> None:
    _sealed(Grant(workspace=connection.workspace, connection=connection), '{"access_token": "x"}')


def give_link_session(word: str, connection: Connection) -> LinkSession:
    session: LinkSession = LinkSession.objects.create(
        workspace=connection.workspace,
        environment=connection.environment,
        digest=word.encode().ljust(32, b"."),
        name=f"{word} to be connected",
        customer_reference=connection.customer_reference,
        metadata={"region": word},
        config={"base_url": f"https://{word}.example"},
        expires_at=timezone.now() + timedelta(hours=1),
        created_by=word,
    )
    _sealed(LinkSecret(workspace=connection.workspace, session=session, name="api_key"), f"{word}-key")
    return session


def give_audit_event(word: str, connection: Connection) -> AuditEvent:
    about = ("connection", ids.show("con", connection.pk) or "")
    audit.record("connection.changed", workspace_id=connection.workspace_id, about=about, details={"by": word})
    found: AuditEvent = AuditEvent.objects.filter(workspace=connection.workspace_id).latest("pk")
    return found


def _sealed(row: Any, clear: str) -> None:
    seal(row, clear)
    row.save(force_insert=True)
