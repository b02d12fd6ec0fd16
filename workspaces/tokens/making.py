"""New tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from core import ids
from core.api_errors import NotAuthenticatedError
from workspaces import audit
from workspaces.models import ApiToken, Workspace
from workspaces.tokens.checking import REFUSED
from workspaces.tokens.form import digest_of, new_token
from workspaces.tokens.keeping import check_target, kept
from workspaces.tokens.turns import after_others_of
from workspaces.tokens.values import refuse, wrong_values

log = structlog.get_logger(__name__)


def create_token(
    *,
    workspace: Workspace,
    name: str,
    scopes: Iterable[str],
    environment: str,
    connection_id: UUID | None = None,
    expires_at: datetime | None = None,
    allowed_networks: Iterable[str] = (),
    created_by: str = "",
    person_id: int | None = None,
    rate_limit_per_minute: int | None = None,
) -> tuple[ApiToken, str]:
    """Make a token and answer its row and the token itself, which nobody can show again.

    ValidationFailedError names each wrong value. `expires_at` is aware; networks are CIDR. With `person_id` it may do
    no more than that person's role in the workspace, at each use.
    """
    token, clear = _draft(
        workspace=workspace,
        name=name,
        scopes=scopes,
        environment=environment,
        connection_id=connection_id,
        expires_at=expires_at,
        allowed_networks=allowed_networks,
        created_by=created_by,
        person_id=person_id,
        rate_limit_per_minute=rate_limit_per_minute,
    )
    with transaction.atomic():
        token.save(force_insert=True)
        _tell(token)
    return token, clear


def create_kept_token(*, to: str, **facts: Any) -> ApiToken:
    """Make a token as `create_token` does and write it to a target, such as `vault:kv/acme/lineshaft#token`.

    It can be used once it is written. Errors: those of the target, and then there is no token.
    """
    token, clear = _draft(**facts)
    check_target(to)
    with kept(token, clear, to), transaction.atomic():
        token.save(update_fields=["revoked_at", "kept_at"])
        _tell(token)
    return token


@transaction.atomic
def create_within(own: ApiToken, **facts: Any) -> tuple[ApiToken, str]:
    """Make a token for the caller that shows `own`, unless that was ended a moment ago: NotAuthenticatedError."""
    after_others_of(own.connection_id)
    if not ApiToken.objects.usable().filter(pk=own.pk).exists():
        raise NotAuthenticatedError(REFUSED, log_detail=f"token {own.pk} was ended while it made another")
    return create_token(connection_id=own.connection_id, **facts)


def _draft(
    *,
    workspace: Workspace,
    name: str,
    scopes: Iterable[str],
    environment: str,
    allowed_networks: Iterable[str] = (),
    expires_at: datetime | None = None,
    created_by: str = "",
    **facts: Any,
) -> tuple[ApiToken, str]:
    """A row that is not stored yet, and its token."""
    scopes, networks = sorted(set(scopes)), list(allowed_networks)
    refuse(
        wrong_values(
            name=name, scopes=scopes, environment=environment, expires_at=expires_at, allowed_networks=networks
        )
    )
    key, clear = new_token(environment)
    token = ApiToken(
        workspace=workspace,
        environment=environment,
        name=name.strip(),
        key=key,
        digest=digest_of(clear),
        scopes=scopes,
        allowed_networks=[str(ip_network(network)) for network in networks],
        expires_at=expires_at,
        created_by=created_by[:160],
        **facts,
    )
    return token, clear


def _tell(token: ApiToken) -> None:
    token.refresh_from_db(fields=["created_at"])
    details = {
        "name": token.name,
        "scopes": token.scopes,
        "environment": token.environment,
        "connection": ids.show("con", token.connection_id),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "kept_at": token.kept_at or None,
        "for_person": token.person_id is not None,
    }
    about = ("token", ids.show(ApiToken.PREFIX, token.pk) or "")
    audit.record("token.created", workspace_id=token.workspace_id, about=about, details=details)
    log.info(
        "token_created",
        token_id=str(token.id),
        workspace_id=str(token.workspace_id),
        created_by=token.created_by,
    )
