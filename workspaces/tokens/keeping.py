"""Tokens that go straight into a secrets manager and are shown to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import DatabaseError
from django.db.models.functions import Now

from core.errors import LineshaftError, TransientError
from core.secret_stores.targets import check_target, write_secret
from workspaces.models import ApiToken

__all__ = ["check_target", "kept"]

log = structlog.get_logger(__name__)


@contextmanager
def kept(draft: ApiToken, clear: str, to: str) -> Iterator[None]:
    """Write a token, which nobody can use yet, to its target; the block lets it be used.

    When writing or the block fails, the token is removed: what may stand at the target by then opens nothing, which the
    error says, for whoever reads the target would be refused.
    """
    draft.revoked_at = Now()  # by the database's clock
    draft.save(force_insert=True)
    try:
        draft.kept_at = write_secret(to, clear)[:300]
        draft.revoked_at = None
        yield
    except BaseException as error:
        _remove(draft)
        if isinstance(error, LineshaftError) and (draft.kept_at or isinstance(error, TransientError)):
            holds = "holds" if draft.kept_at else "may hold"
            error.detail += f" {to} {holds} a token now that opens nothing: run this again, or put the old one back."
        raise


def _remove(draft: ApiToken) -> None:
    try:
        ApiToken.objects.filter(pk=draft.pk).delete()
    except DatabaseError:  # it is revoked, so it does no harm
        log.exception("draft_of_token_not_removed", token_id=str(draft.pk))
