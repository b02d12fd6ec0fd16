"""Secrets that stand in the operator's secrets managers: where a workspace's references may lead, and following them."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django_scopes import scopes_disabled

from core.errors import ConfigError, ValidationFailedError
from core.secret_stores.reading import read_secret
from core.secret_stores.references import Reference, is_under, parse
from workspaces.models import SecretPrefix


def allowed_prefixes(workspace_id: UUID) -> list[str]:
    """Where the operator of the installation lets the workspace's references lead."""
    with scopes_disabled():
        return list(SecretPrefix.objects.filter(workspace_id=workspace_id).values_list("prefix", flat=True))


def demand_allowed(workspace_id: UUID, reference: Reference) -> None:
    """Errors: ValidationFailedError REFERENCE_NOT_ALLOWED, which names the prefixes there are."""
    if fault := _fault(workspace_id, reference):
        raise ValidationFailedError(fault, code="REFERENCE_NOT_ALLOWED")


def follow(workspace_id: UUID, text: str, *, fresh: bool = False) -> str:
    """The secret that a stored reference leads to. Its prefix is judged again: it may have been taken away.

    Calls the network: never inside of a transaction. Errors: ConfigError (REFERENCE_NOT_ALLOWED, and those of
    `read_secret`), StoreDownError, a TransientError.
    """
    try:
        reference = parse(text)
    except ValidationFailedError as error:
        raise ConfigError(f"The stored reference is not valid: {error.detail}", code="REFERENCE_INVALID") from error
    if fault := _fault(workspace_id, reference):
        raise ConfigError(fault, code="REFERENCE_NOT_ALLOWED")
    return read_secret(
        reference,
        fresh=fresh,
        cache_seconds=settings.SECRET_CACHE_SECONDS,
        stale_seconds=settings.SECRET_STALE_SECONDS,
    )


def _fault(workspace_id: UUID, reference: Reference) -> str:
    prefixes = allowed_prefixes(workspace_id)
    if any(is_under(reference, prefix) for prefix in prefixes):
        return ""
    there = f"Allowed are {', '.join(sorted(prefixes))}." if prefixes else "None is allowed yet."
    return (
        f"This workspace may not refer to {reference}. {there} The operator of the installation sets that under Secret"
        " prefixes."
    )
