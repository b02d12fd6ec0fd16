"""Which addresses may be told: judged when an endpoint is saved, and once more by the door at each delivery."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings

from core.errors import ConfigError, FieldError, ValidationFailedError
from core.http import EgressPolicy, webhook_policy
from core.http.policy import webhook_policy_in_test
from core.http.urls import parse_target
from workspaces.choices import Environment

__all__ = ["check_url", "policy_of"]


def policy_of(environment: str) -> EgressPolicy:
    """What may be called for an endpoint: https to public addresses; in `test` also http and the operator's networks."""
    if environment == Environment.TEST:
        return webhook_policy_in_test(settings.EGRESS_ALLOWED_NETWORKS)
    return webhook_policy()


def check_url(url: str, environment: str) -> None:
    """Refuse an address that could never be called. Names are not resolved here: they may lead elsewhere tomorrow.

    Errors: ValidationFailedError for `/url`, with the code and words of the door.
    """
    policy = policy_of(environment)
    try:
        target = parse_target(url)
        policy.check_scheme(target.scheme, target.host)
        policy.check_name(target.host)
        if _is_address(target.host):
            policy.check_addresses(target.host, [target.host])
    except ConfigError as error:
        raise ValidationFailedError(error.detail, errors=(FieldError("/url", error.code, error.detail),)) from error


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
