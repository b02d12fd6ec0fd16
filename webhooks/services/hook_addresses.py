"""Addresses at which systems tell what happens: made, renewed, taken away, and found by their secret part."""

from __future__ import annotations

import hmac
import secrets as random
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django_scopes import scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import connector_of
from core import ids
from core.api_errors import GoneError
from core.errors import ConflictError, FieldError, NotFoundError, NotSupportedError, ValidationFailedError
from integrations.registry import get_connector
from integrations.sdk.hooks import Hooks
from webhooks.models import HookAddress
from workspaces import audit
from workspaces.secrets import open_secret, seal

MOST_SECRETS = 60  # some systems have one for each type of message
MOST_CHARACTERS = 1_000


def hooks_of(connection: Connection) -> Hooks:
    """What the connection's system tells. Errors: NotSupportedError when it tells nothing."""
    kind = connector_of(connection)
    if kind.hooks is None:
        raise NotSupportedError(f"{kind.title} does not tell of changes by itself; its syncs ask for them.")
    return kind.hooks


def address_of(connection: Connection) -> HookAddress:
    """Errors: NotFoundError when none was made."""
    found = HookAddress.objects.filter(connection_id=connection.pk).first()
    if found is None:
        raise NotFoundError("This connection has no hook address. Make one by POST.", code="NO_HOOK_ADDRESS")
    return found


@transaction.atomic
def make_address(connection: Connection, *, signing_secrets: Sequence[str] | None = None) -> tuple[HookAddress, str]:
    """Make the connection's address, or renew it: the former one is nobody's from now on. Answers it and its URL, this once.

    `signing_secrets` None keeps those that are stored.
    Errors: NotSupportedError, ConflictError CONNECTION_DISCONNECTED, ValidationFailedError.
    """
    hooks, locked = hooks_of(connection), _lock(connection)
    row = HookAddress.objects.filter(connection_id=locked.pk).first()
    what = "hook_address.made" if row is None else "hook_address.renewed"
    row = row or HookAddress(workspace_id=locked.workspace_id, connection=locked)
    secret = random.token_urlsafe(32)
    row.digest = digest_of(secret)
    if signing_secrets is not None:
        _store(row, hooks, signing_secrets)
    row.save()
    _record(what, locked, secrets=None if signing_secrets is None else len(signing_secrets))
    return row, f"{settings.PUBLIC_URL.rstrip('/')}/hooks/{ids.show(Connection.PREFIX, locked.pk)}/{secret}"


@transaction.atomic
def store_signing_secrets(connection: Connection, signing_secrets: Sequence[str]) -> HookAddress:
    """Replace the secrets that the system signs with; the address stays. Errors: NotFoundError, ValidationFailedError."""
    hooks, locked = hooks_of(connection), _lock(connection)
    row = address_of(locked)
    _store(row, hooks, signing_secrets)
    row.save(update_fields=["ciphertext", "reference", "updated_at"])
    _record("hook_address.secrets_stored", locked, secrets=len(signing_secrets))
    return row


@transaction.atomic
def remove_address(connection: Connection) -> None:
    """Take the address away; whoever sends to it is told that nothing is there. Errors: NotFoundError."""
    address_of(connection).delete()
    _record("hook_address.removed", connection)


def find_address(connection_id: str, secret: str) -> HookAddress:
    """The address with this secret part, with its connection; in no scope, since who sends is not known.

    Errors: NotFoundError, GoneError when the connection was ended.
    """
    with scopes_disabled():
        # The look-up by digest takes as long whatever the secret is: near misses have digests that are far away.
        rows = HookAddress.objects.select_related("connection").filter(digest=digest_of(secret))
        row = rows.first()
    if row is None or ids.read(Connection.PREFIX, connection_id) != row.connection_id:
        raise NotFoundError("There is nothing here under this address.")
    if row.connection.purge_requested_at is not None:
        raise NotFoundError("There is nothing here under this address.")
    if row.connection.health == ConnectionStatus.DISCONNECTED:
        raise GoneError("This connection was ended. Stop sending here.")
    return row


def signing_secrets_of(row: HookAddress) -> list[str]:
    """In clear; empty when none is stored. Errors: those of `open_secret`."""
    return open_secret(row).split("\n") if has_signing_secret(row) else []


def has_signing_secret(row: HookAddress) -> bool:
    return row.ciphertext is not None or bool(row.reference)


def declared_of(row: HookAddress) -> Hooks:
    """What the connection's connector declares. Errors: NotFoundError when it declares nothing, or is not installed."""
    hooks = get_connector(row.connection.system).hooks
    if hooks is None:
        raise NotFoundError("There is nothing here under this address.")
    return hooks


def digest_of(secret: str) -> bytes:
    """HMAC-SHA256 under TOKEN_PEPPER: what is kept of the secret part of an address."""
    return hmac.digest(settings.TOKEN_PEPPER.encode(), f"hook:{secret}".encode("utf-8", "replace"), "sha256")


def _store(row: HookAddress, hooks: Hooks, given: Sequence[str]) -> None:
    if not given:
        row.ciphertext, row.reference = None, ""
        return
    if hooks.signature is None:
        raise _refused("", "NOT_SIGNED", "This system does not sign what it sends; leave the secrets out.")
    if len(given) > MOST_SECRETS:
        raise _refused("", "TOO_MANY", f"At most {MOST_SECRETS} secrets.")
    for number, secret in enumerate(given):
        if not secret.strip() or len(secret) > MOST_CHARACTERS or "\n" in secret or "\x00" in secret:
            raise _refused(f"/{number}", "INVALID_VALUE", f"A secret is one line of 1 to {MOST_CHARACTERS} characters.")
    seal(row, "\n".join(secret.strip() for secret in given))


def _refused(below: str, code: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, errors=(FieldError(f"/signing_secrets{below}", code, detail),))


def _lock(connection: Connection) -> Connection:
    """The lock that ending the connection takes. Errors: ConflictError when it was ended."""
    locked: Connection = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    if locked.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")
    return locked


def _record(action: str, connection: Connection, *, secrets: int | None = None) -> None:
    about = ("connection", str(ids.show(Connection.PREFIX, connection.pk)))
    details = {} if secrets is None else {"signing_secrets": secrets}
    audit.record(action, workspace_id=connection.workspace_id, about=about, details=details)
