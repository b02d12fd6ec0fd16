"""Another name for a token, told: a name says what a token is for, and could hide it."""

from __future__ import annotations

from django.db import transaction

from core import ids
from workspaces import audit
from workspaces.models import ApiToken


@transaction.atomic
def rename_token(*, token: ApiToken, before: str) -> None:
    """Store the name that the row has now; `before` is the one it had."""
    token.save(update_fields=["name"])
    about = ("token", ids.show(ApiToken.PREFIX, token.pk) or "")
    details = {"name": token.name, "before": before}
    audit.record("token.renamed", workspace_id=token.workspace_id, about=about, details=details)
