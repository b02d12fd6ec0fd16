"""What a token may be made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_network

from django.utils import timezone

from core.errors import FieldError, ValidationFailedError
from workspaces.choices import Environment
from workspaces.scopes import is_scope, known_scopes
from workspaces.tokens.networks import MAX_NETWORKS


def wrong_values(
    *, name: str, scopes: list[str], environment: str, expires_at: datetime | None, allowed_networks: list[str]
) -> list[FieldError]:
    """What `create_token` would refuse; empty when all is well."""
    return [*_wrong(name, scopes, environment), *_wrong_expiry(expires_at), *_wrong_networks(allowed_networks)]


def refuse(errors: Iterable[FieldError]) -> None:
    """Raise ValidationFailedError, which names each error, if there is one."""
    found = tuple(errors)
    if found:
        raise ValidationFailedError(" ".join(error.detail for error in found), errors=found)


def refuse_past(expires_at: datetime | None) -> None:
    """Raise ValidationFailedError for an expiry that has passed."""
    refuse(_wrong_expiry(expires_at))


def refuse_wrong_networks(networks: list[str]) -> None:
    """Raise ValidationFailedError for what is no CIDR network."""
    refuse(_wrong_networks(networks))


def _wrong(name: str, scopes: list[str], environment: str) -> Iterable[FieldError]:
    if not 1 <= len(name.strip()) <= 120:
        yield FieldError("/name", "INVALID", "The name must have 1 to 120 characters.")
    if not scopes:
        yield FieldError("/scopes", "REQUIRED", "A token needs at least one scope.")
    for scope in scopes:
        if not is_scope(scope):
            known = ", ".join(known_scopes())
            yield FieldError("/scopes", "UNKNOWN_SCOPE", f"{scope[:60]} is no scope; known: {known}.")
    if environment not in Environment.values:
        yield FieldError("/environment", "INVALID", "The environment must be live or test.")


def _wrong_expiry(expires_at: datetime | None) -> Iterable[FieldError]:
    if expires_at is not None and expires_at <= timezone.now():
        yield FieldError("/expires_at", "IN_THE_PAST", "The token would be expired from the start.")


def _wrong_networks(networks: list[str]) -> Iterable[FieldError]:
    if len(networks) > MAX_NETWORKS:
        yield FieldError("/allowed_networks", "TOO_MANY", f"A token takes at most {MAX_NETWORKS} networks.")
    for index, network in enumerate(networks[:MAX_NETWORKS]):
        try:
            ip_network(network)
        except ValueError as error:
            yield FieldError(f"/allowed_networks/{index}", "INVALID_NETWORK", f"Not a CIDR network: {error}.")
