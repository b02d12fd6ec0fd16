"""A new token in place of an old one, both working for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Least, Now

from core import ids
from core.errors import ConflictError, FieldError
from workspaces import audit
from workspaces.choices import Overlap
from workspaces.models import ApiToken
from workspaces.tokens.form import digest_of, new_token
from workspaces.tokens.keeping import check_target, kept
from workspaces.tokens.turns import after_others_of, long_turn, take_turn
from workspaces.tokens.values import refuse, refuse_past

log = structlog.get_logger(__name__)
_COPIED = (
    "workspace_id",
    "connection_id",
    "person_id",
    "environment",
    "name",
    "scopes",
    "allowed_networks",
    "rate_limit_per_minute",
)


def rotate_token(
    *, token: ApiToken, overlap_seconds: int, by: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token that may do the same, and let the old one end after the overlap (0: now). Answers row and token.

    Without `expires_at` the new one lives as long as the old one was made to. Errors: ConflictError
    TOKEN_ALREADY_ROTATED, or TOKEN_NOT_ACTIVE when the old one is revoked or expired; ValidationFailedError.
    """
    _check(overlap_seconds, expires_at)
    with transaction.atomic():
        take_turn(token.pk)
        old, now = _rotatable(token)
        new, clear = _successor(old, now, by, expires_at)
        new.save(force_insert=True)
        _replace(old, new, overlap_seconds)
    token.refresh_from_db(fields=["expires_at", "revoked_at"])
    return new, clear


def rotate_kept_token(
    *, token: ApiToken, overlap_seconds: int, by: str, to: str, expires_at: datetime | None = None
) -> ApiToken:
    """Rotate as `rotate_token` does and write the new token to a target instead of showing it.

    The old one begins to end once the new one is written. Errors: also those of the target; nothing has changed then.
    """
    _check(overlap_seconds, expires_at)
    check_target(to)
    with long_turn(token.pk):
        with transaction.atomic():
            old, now = _rotatable(token)
        new, clear = _successor(old, now, by, expires_at)
        with kept(new, clear, to), transaction.atomic():
            old, _ = _rotatable(token)  # it may have been revoked since
            new.save(update_fields=["revoked_at", "kept_at"])
            _replace(old, new, overlap_seconds)
    token.refresh_from_db(fields=["expires_at", "revoked_at"])
    return new


def _check(overlap_seconds: int, expires_at: datetime | None) -> None:
    if overlap_seconds not in Overlap.values:
        allowed = ", ".join(str(value) for value in Overlap.values)
        refuse([FieldError("/overlap_seconds", "INVALID", f"The overlap is one of {allowed} seconds.")])
    refuse_past(expires_at)


def _rotatable(token: ApiToken) -> tuple[ApiToken, datetime]:
    """The row, locked, and the database's time. Errors: ConflictError."""
    after_others_of(token.connection_id)
    rows: QuerySet[ApiToken] = ApiToken.objects.annotate(now=Now())
    old = rows.select_for_update(of=("self",)).get(pk=token.pk)
    now: datetime = old.now  # type: ignore[attr-defined]
    newer = ApiToken.objects.filter(replaces_id=old.pk).first()
    if newer is not None:
        detail = f"The token was rotated already: use {ids.show(ApiToken.PREFIX, newer.pk)}, or rotate that one."
        raise ConflictError(detail, code="TOKEN_ALREADY_ROTATED")
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        state = "revoked" if old.revoked_at is not None else "expired"
        raise ConflictError(f"The token is {state}; create a new one instead.", code="TOKEN_NOT_ACTIVE")
    return old, now


def _successor(old: ApiToken, now: datetime, by: str, expires_at: datetime | None) -> tuple[ApiToken, str]:
    """A row like the old one that is not stored yet, and its token."""
    key, clear = new_token(old.environment)
    if expires_at is None and old.expires_at is not None:
        # Some write "never" as the last day there is.
        expires_at = now + min(old.expires_at - old.created_at, datetime.max.replace(tzinfo=UTC) - now)
    copied = {name: getattr(old, name) for name in _COPIED}
    new = ApiToken(**copied, key=key, digest=digest_of(clear), expires_at=expires_at, created_by=by[:160])
    return new, clear


def _replace(old: ApiToken, new: ApiToken, overlap_seconds: int) -> None:
    """Let the old one end, and say so."""
    new.replaces = old
    new.save(update_fields=["replaces"])
    new.refresh_from_db(fields=["created_at"])
    end = {"expires_at": Least(F("expires_at"), Now() + timedelta(seconds=overlap_seconds))}
    ApiToken.objects.filter(pk=old.pk).update(**(end if overlap_seconds else {"revoked_at": Now()}))
    shown = ids.show(ApiToken.PREFIX, new.pk)
    details = {"name": old.name, "new": shown, "overlap_seconds": overlap_seconds, "kept_at": new.kept_at or None}
    about = ("token", ids.show(ApiToken.PREFIX, old.pk) or "")
    audit.record("token.rotated", workspace_id=old.workspace_id, about=about, details=details)
    log.info("token_rotated", token_id=str(old.id), new_id=str(new.id), overlap_seconds=overlap_seconds)
