"""Addresses that start flows: made, renewed, taken away, and found by their secret part."""

from __future__ import annotations

import hmac
import secrets as random

from django.conf import settings
from django.db import transaction

from core import ids
from core.errors import FieldError, NotFoundError, ValidationFailedError
from flows.models import Flow, FlowHookAddress
from flows.services.locking import lock_flow, tell_audit
from workspaces.secrets import open_secret, seal

__all__ = [
    "address_of", "digest_of", "has_signing_secret", "remove_hook_address", "renew_hook_address", "signing_secret_of",
    "store_signing_secret",
]  # fmt: skip

MOST_CHARACTERS = 1_000


def address_of(flow: Flow) -> FlowHookAddress:
    """Errors: NotFoundError NO_HOOK_ADDRESS when none was made."""
    found: FlowHookAddress | None = FlowHookAddress.objects.filter(flow_id=flow.pk).first()
    if found is None:
        raise NotFoundError("This flow has no hook address. Make one by POST.", code="NO_HOOK_ADDRESS")
    return found


@transaction.atomic
def renew_hook_address(flow: Flow, *, by: str, signing_secret: str | None = None) -> tuple[FlowHookAddress, str]:
    """Make the flow's address, or renew it: the former one is nobody's from now on. Answers it and its URL, this once.

    `signing_secret` None keeps what is stored, "" removes it. Errors: ValidationFailedError.
    """
    locked = lock_flow(flow)
    row = FlowHookAddress.objects.filter(flow_id=locked.pk).first()
    done = "hook_address_made" if row is None else "hook_address_renewed"
    row = row or FlowHookAddress(workspace_id=locked.workspace_id, flow=locked)
    secret = random.token_urlsafe(32)
    row.digest = digest_of(secret)
    if signing_secret is not None:
        _store(row, signing_secret)
    row.save()
    row.refresh_from_db(fields=["created_at"])
    tell_audit(done, locked, by=by)
    return row, f"{settings.PUBLIC_URL.rstrip('/')}/flow-hooks/{ids.show(Flow.PREFIX, locked.pk)}/{secret}"


@transaction.atomic
def store_signing_secret(flow: Flow, signing_secret: str, *, by: str) -> FlowHookAddress:
    """Replace what the sender signs with, "" for nothing; the address stays. Errors: NotFoundError, ValidationFailedError."""
    locked = lock_flow(flow)
    row = address_of(locked)
    _store(row, signing_secret)
    row.save(update_fields=["ciphertext", "reference", "updated_at"])
    tell_audit("hook_secret_stored" if signing_secret else "hook_secret_removed", locked, by=by)
    return row


@transaction.atomic
def remove_hook_address(flow: Flow, *, by: str) -> None:
    """Take the address away; whoever sends to it is told that nothing is there. Errors: NotFoundError."""
    locked = lock_flow(flow)
    address_of(locked).delete()
    tell_audit("hook_address_removed", locked, by=by)


def has_signing_secret(row: FlowHookAddress) -> bool:
    return row.ciphertext is not None


def signing_secret_of(row: FlowHookAddress) -> str | None:
    """In clear; None when none is stored. Errors: those of `open_secret`."""
    return open_secret(row) if has_signing_secret(row) else None


def digest_of(secret: str) -> bytes:
    """HMAC-SHA256 under TOKEN_PEPPER: what is kept of the secret part of an address."""
    return hmac.digest(settings.TOKEN_PEPPER.encode(), f"flow-hook:{secret}".encode("utf-8", "replace"), "sha256")


def _store(row: FlowHookAddress, secret: str) -> None:
    if not secret:
        row.ciphertext, row.reference = None, ""
        return
    if not secret.strip() or len(secret) > MOST_CHARACTERS or "\n" in secret or "\x00" in secret:
        detail = f"A secret is one line of 1 to {MOST_CHARACTERS} characters."
        raise ValidationFailedError(detail, errors=(FieldError("/signing_secret", "INVALID_VALUE", detail),))
    seal(row, secret.strip())
