"""What our own API refuses, as opposed to an upstream system. Django-free.

`http_status` overrides the status of the category; `extra` of these classes (and of no others) is shown as members of
the problem document, so it holds only what the caller may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.errors import (
    AuthError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    ValidationFailedError,
    WhoMustAct,
)


@dataclass(eq=False)
class BadRequestError(ValidationFailedError):
    """The request itself is malformed: unknown parameter or field, unreadable value, bad cursor."""

    default_code = "BAD_REQUEST"
    http_status: ClassVar[int] = 400


@dataclass(eq=False)
class NotAuthenticatedError(AuthError):
    """The caller of our API shows no token, or none that is valid."""

    http_status: ClassVar[int] = 401
    who_must_act = WhoMustAct.DEVELOPER


@dataclass(eq=False)
class ForbiddenError(PermissionDeniedError):
    """The caller's token is valid but may not do this; the detail names the scope it would need."""

    http_status: ClassVar[int] = 403
    who_must_act = WhoMustAct.DEVELOPER


@dataclass(eq=False)
class NotFoundHereError(NotFoundError):
    """There is no such thing in our copy, or it belongs to somebody else: the answer is the same."""

    http_status: ClassVar[int] = 404


@dataclass(eq=False)
class GoneError(NotFoundError):
    """It was here and is kept no longer, such as a feed cursor older than what the feed holds."""

    default_code = "GONE"
    http_status: ClassVar[int] = 410


@dataclass(eq=False)
class PreconditionFailedError(ConflictError):
    """`If-Match` names a version that is no longer the current one."""

    default_code = "PRECONDITION_FAILED"
    http_status: ClassVar[int] = 412
