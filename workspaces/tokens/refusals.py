"""What is written down when a known token is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from core import ids
from workspaces import audit
from workspaces.choices import ActorKind, AuditOutcome
from workspaces.models import ApiToken, AuditEvent
from workspaces.tokens.networks import address_from
from workspaces.tokens.turns import only_one

RESOLUTION = timedelta(minutes=1)
log = structlog.get_logger(__name__)


def note_refusal(
    action: str, token: ApiToken, *, address: str | None, request_id: str = "", details: Mapping[str, str] | None = None
) -> None:
    """Write an audit event by the token itself, at most one of a kind for each token and minute.

    The caller is refused in any case: when the event cannot be written, the log alone tells.
    """
    try:
        with transaction.atomic():
            _note(action, token, address, request_id, {"name": token.name, **(details or {})})
    except DatabaseError:
        log.exception("refusal_not_recorded", action=action, token_id=str(token.pk))


def _note(action: str, token: ApiToken, address: str | None, request_id: str, details: Mapping[str, str]) -> None:
    shown = ids.show(ApiToken.PREFIX, token.pk) or ""
    if not only_one(f"{action} {shown}"):
        return
    recent = AuditEvent.objects.with_scopes_disabled().filter(workspace_id=token.workspace_id, object_id=shown)
    if recent.filter(action=action, at__gt=Now() - RESOLUTION).exists():
        return
    caller = address_from(address)
    actor = audit.Actor(
        ActorKind.TOKEN, f"token {shown}", token.pk, str(caller) if caller is not None else None, request_id
    )
    audit.record(
        action,
        workspace_id=token.workspace_id,
        about=("token", shown),
        outcome=AuditOutcome.REFUSED,
        details=details,
        actor=actor,
    )
