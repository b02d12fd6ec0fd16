"""Where a token stands."""

from __future__ import annotations

from django.utils import timezone

from workspaces.choices import TokenStatus
from workspaces.models import ApiToken


def status_of(token: ApiToken) -> TokenStatus:
    """Where the token stands now."""
    if token.revoked_at is not None:
        return TokenStatus.REVOKED
    is_expired = token.expires_at is not None and token.expires_at <= timezone.now()
    return TokenStatus.EXPIRED if is_expired else TokenStatus.ACTIVE
