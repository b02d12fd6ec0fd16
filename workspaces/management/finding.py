"""What the commands about tokens have in common."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.core.management.base import CommandError
from django.utils import timezone
from django_scopes import scopes_disabled

from core import ids
from workspaces.models import ApiToken

_PREFIX = re.compile(r"lsh_(?:live|test)_([0-9A-Za-z]{12})_?")


def find_token(text: str) -> ApiToken:
    """The token with this id (`tok_...`), or this public part, alone or as in `lsh_live_4fGh81kLmN2p_`."""
    value, prefix = ids.read(ApiToken.PREFIX, text), _PREFIX.fullmatch(text)
    with scopes_disabled():
        rows = ApiToken.objects.select_related("person", "workspace")
        rows = rows.filter(pk=value) if value else rows.filter(key=prefix[1] if prefix else text)
        token: ApiToken | None = rows.first()
    if token is None:
        raise CommandError(
            f"There is no token {text[:40]}. Give its id (tok_...), or the part between lsh_live_ and _."
        )
    return token


def expiry_in(days: int | None) -> datetime | None:
    """The time `--expires-days` means."""
    if days is None:
        return None
    if not 1 <= days <= 36_500:
        raise CommandError("--expires-days takes 1 to 36500.")
    return timezone.now() + timedelta(days=days)
