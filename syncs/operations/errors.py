"""Refusals of this part with a status of their own, and stored errors as what they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from core.errors import (
    AuthError,
    BugError,
    BusinessRuleError,
    ConfigError,
    ConflictError,
    FieldError,
    LineshaftError,
    NotFoundError,
    NotLicensedError,
    NotSupportedError,
    PermissionDeniedError,
    RateLimitedError,
    SourceAnswer,
    TimeoutUnknownError,
    TransientError,
    ValidationFailedError,
    WhoMustAct,
)


@dataclass(eq=False)
class VersionConflictError(ConflictError):
    """The record is no longer the version that If-Match names."""

    default_code = "VERSION_CONFLICT"
    http_status: ClassVar[int] = 412


@dataclass(eq=False)
class KeyReusedError(ValidationFailedError):
    """The Idempotency-Key stands for another request."""

    default_code = "IDEMPOTENCY_KEY_REUSED"


@dataclass(eq=False)
class UndecidedError(TimeoutUnknownError):
    """Nothing tells whether the request was done: a person must."""

    who_must_act = WhoMustAct.OPERATOR


_KINDS: dict[str, type[LineshaftError]] = {
    kind.category: kind
    for kind in (
        AuthError,
        BugError,
        BusinessRuleError,
        ConfigError,
        ConflictError,
        NotFoundError,
        NotLicensedError,
        NotSupportedError,
        PermissionDeniedError,
        RateLimitedError,
        TimeoutUnknownError,
        TransientError,
        ValidationFailedError,
    )
}


def error_from(stored: Mapping[str, Any]) -> LineshaftError:
    """The error that an operation keeps, as it would have been raised at once."""
    code = stored.get("code", "INTERNAL_ERROR")
    kind = VersionConflictError if code == VersionConflictError.default_code else _KINDS[stored.get("category", "bug")]
    source = SourceAnswer(**stored["source"]) if stored.get("source") else None
    errors = tuple(FieldError(**error) for error in stored.get("errors") or ())
    return kind(stored.get("message", ""), code=code, source=source, errors=errors)
