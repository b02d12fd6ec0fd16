"""The end of tokens."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now

from core import ids
from workspaces import audit
from workspaces.models import ApiToken
from workspaces.tokens.turns import after_others_of

log = structlog.get_logger(__name__)


@transaction.atomic
def revoke_token(*, token: ApiToken, revoked_by: str = "") -> bool:
    """Refuse the token from now on. False when it was revoked before; the first time stays on record."""
    revoked = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=Now()) == 1
    token.refresh_from_db(fields=["revoked_at"])
    if revoked:
        _record(token.workspace_id, token.pk, {"name": token.name})
        log.info("token_revoked", token_id=str(token.id), revoked_by=revoked_by)
    return revoked


@transaction.atomic
def revoke_connection_tokens(*, connection_id: UUID) -> int:
    """Refuse every token of a connection from now on, as when it is disconnected. Answers how many."""
    after_others_of(connection_id)
    rows = ApiToken.objects.filter(connection_id=connection_id, revoked_at=None)
    ending = list(rows.order_by("pk").select_for_update().only("pk", "name", "workspace_id"))
    count: int = rows.filter(pk__in=[token.pk for token in ending]).update(revoked_at=Now()) if ending else 0
    for token in ending:
        _record(token.workspace_id, token.pk, {"name": token.name, "reason": "connection ended"})
    if count:
        log.info("connection_tokens_revoked", connection_id=str(connection_id), count=count)
    return count


@transaction.atomic
def revoke_person_tokens(*, workspace_id: UUID, person_id: int) -> int:
    """Refuse a person's tokens in a workspace for good: they left, and may come back without them. Answers how many."""
    rows = ApiToken.objects.filter(workspace_id=workspace_id, person_id=person_id, revoked_at=None)
    ending = list(rows.order_by("pk").select_for_update().only("pk", "name", "workspace_id"))
    count: int = rows.filter(pk__in=[token.pk for token in ending]).update(revoked_at=Now()) if ending else 0
    for token in ending:
        _record(token.workspace_id, token.pk, {"name": token.name, "reason": "its person left"})
    return count


def _record(workspace_id: UUID, token_id: UUID, details: dict[str, str]) -> None:
    about = ("token", ids.show(ApiToken.PREFIX, token_id) or "")
    audit.record("token.revoked", workspace_id=workspace_id, about=about, details=details)
