"""The errors of the platform, named by what to do about them and by whom.

Django-free: connectors, the door and the engine raise these; API, admin and statuses show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Category(StrEnum):
    """What kind of trouble it is. Stable, shown to users; decide by this, never by message text."""

    CONFIG = "config"
    AUTH = "auth"
    PERMISSION = "permission"
    NOT_LICENSED = "not_licensed"
    RATE_LIMITED = "rate_limited"
    TRANSIENT = "transient"
    NOT_FOUND = "not_found"
    VALIDATION = "validation"
    BUSINESS_RULE = "business_rule"
    CONFLICT = "conflict"
    NOT_SUPPORTED = "not_supported"
    TIMEOUT_UNKNOWN = "timeout_unknown"
    BUG = "bug"


class WhoMustAct(StrEnum):
    """Who can mend it."""

    NOBODY = "nobody"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    CUSTOMER = "customer"
    SOURCE = "source"


@dataclass(frozen=True)
class SourceAnswer:
    """What the upstream system said: HTTP status (None when there was none), its code, its message (secrets cut)."""

    status: int | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class FieldError:
    """One wrong value. `pointer` is an RFC 6901 JSON pointer into the request body, or `?name` for a query parameter."""

    pointer: str
    code: str
    detail: str


@dataclass(eq=False)
class LineshaftError(Exception):
    """Base of every expected failure.

    `detail` is for the person who must act and says what to do next; `log_detail` adds what only the log should hold.
    `retry_after` is in seconds.
    """

    detail: str
    code: str = ""
    errors: tuple[FieldError, ...] = ()
    source: SourceAnswer | None = None
    retry_after: float | None = None
    log_detail: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    category: ClassVar[Category] = Category.BUG
    default_code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False
    who_must_act: ClassVar[WhoMustAct] = WhoMustAct.DEVELOPER

    def __post_init__(self) -> None:
        super().__init__(self.detail)
        self.code = self.code or self.default_code

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class ConfigError(LineshaftError):
    """Settings are wrong (address, database name, refused network): the operator mends them."""

    category = Category.CONFIG
    default_code = "CONFIGURATION_ERROR"
    who_must_act = WhoMustAct.OPERATOR


@dataclass(eq=False)
class EgressDeniedError(ConfigError):
    """The address may not be called by this policy; the detail names the setting that would allow it."""

    default_code = "EGRESS_DENIED"


@dataclass(eq=False)
class TlsError(ConfigError):
    """The certificate cannot be trusted, or the server speaks no TLS we accept."""

    default_code = "TLS_FAILED"


@dataclass(eq=False)
class AuthError(LineshaftError):
    """The upstream refuses the credential: the customer must sign in again."""

    category = Category.AUTH
    default_code = "AUTHENTICATION_FAILED"
    who_must_act = WhoMustAct.CUSTOMER


@dataclass(eq=False)
class PermissionDeniedError(LineshaftError):
    """Signed in, but this account may not do it."""

    category = Category.PERMISSION
    default_code = "PERMISSION_DENIED"
    who_must_act = WhoMustAct.CUSTOMER


@dataclass(eq=False)
class NotLicensedError(LineshaftError):
    """The customer's plan with the vendor does not include it."""

    category = Category.NOT_LICENSED
    default_code = "NOT_LICENSED"
    who_must_act = WhoMustAct.CUSTOMER


@dataclass(eq=False)
class RateLimitedError(LineshaftError):
    """Too many calls; `retry_after` seconds when the other side said so."""

    category = Category.RATE_LIMITED
    default_code = "RATE_LIMIT_EXCEEDED"
    retryable = True
    who_must_act = WhoMustAct.NOBODY


@dataclass(eq=False)
class TransientError(LineshaftError):
    """Network trouble, 5xx, time-out of a read: tried again by itself."""

    category = Category.TRANSIENT
    default_code = "UPSTREAM_UNAVAILABLE"
    retryable = True
    who_must_act = WhoMustAct.SOURCE


@dataclass(eq=False)
class UnreachableError(TransientError):
    """No connection could be made: name not found, refused, no route."""

    default_code = "HOST_UNREACHABLE"


@dataclass(eq=False)
class BadAnswerError(TransientError):
    """The answer is not what the protocol promises: HTML, truncated, no JSON, too large."""

    default_code = "UNEXPECTED_ANSWER"


@dataclass(eq=False)
class NotFoundError(LineshaftError):
    """The object or route does not exist there."""

    category = Category.NOT_FOUND
    default_code = "NOT_FOUND"


@dataclass(eq=False)
class ValidationFailedError(LineshaftError):
    """A value is wrong; `errors` names each."""

    category = Category.VALIDATION
    default_code = "VALIDATION_FAILED"


@dataclass(eq=False)
class BusinessRuleError(LineshaftError):
    """A rule of the upstream system (or declared for it) forbids it in this state."""

    category = Category.BUSINESS_RULE
    default_code = "BUSINESS_RULE"
    who_must_act = WhoMustAct.CUSTOMER


@dataclass(eq=False)
class ConflictError(LineshaftError):
    """Somebody else changed it, or it exists already."""

    category = Category.CONFLICT
    default_code = "CONFLICT"


@dataclass(eq=False)
class NotSupportedError(LineshaftError):
    """The system or our connector cannot do it, and says so before trying."""

    category = Category.NOT_SUPPORTED
    default_code = "OPERATION_NOT_SUPPORTED"


@dataclass(eq=False)
class TimeoutUnknownError(LineshaftError):
    """A write may or may not have happened: it must be looked up before it is tried again."""

    category = Category.TIMEOUT_UNKNOWN
    default_code = "OUTCOME_UNKNOWN"
    who_must_act = WhoMustAct.NOBODY


@dataclass(eq=False)
class BugError(LineshaftError):
    """Our own fault."""
