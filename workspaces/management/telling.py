"""How commands tell what became of a new token."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from core import ids
from core.json import dumps
from workspaces.models import ApiToken
from workspaces.serializers import token_body

TARGETS = "vault:<mount>/<path>#<field>, aws-sm:<name>[#<key>], azure-kv:<vault>/<name> or file:/absolute/path"


def tell_token(command: BaseCommand, token: ApiToken, clear: str | None, *, as_json: bool) -> None:
    """The token alone on standard output, the rest beside it; nothing of a token that was written to a target."""
    shown = ids.show(ApiToken.PREFIX, token.pk)
    if as_json:
        facts: dict[str, Any] = json.loads(dumps(token_body(token)))
        if clear is None:
            del facts["prefix"]
        command.stdout.write(json.dumps({**facts, "token": clear} if clear else facts, indent=2))
    elif clear is None:
        command.stdout.write(f"{shown} was written to {token.kept_at}.")
    else:
        command.stderr.write(f"{shown}: store this token now, it cannot be shown again.")
        command.stdout.write(clear)
