"""What may not be written, as the API tells it: with the reason, before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from core.errors import BusinessRuleError, LineshaftError, NotSupportedError, PermissionDeniedError


@dataclass(eq=False)
class RuleRefusedError(BusinessRuleError):
    """Declaration, mapping, status or an administrator speaks against it; `reason` tells which."""

    http_status: ClassVar[int] = 422


@dataclass(eq=False)
class AccountRefusedError(PermissionDeniedError):
    """The connection's account may not do it in the system. The caller's token is not at fault, so this is no 403."""

    http_status: ClassVar[int] = 422


@dataclass(eq=False)
class NotPossibleError(NotSupportedError):
    """The connector declares no such thing."""

    http_status: ClassVar[int] = 422


_SHOWN: tuple[tuple[type[LineshaftError], type[LineshaftError]], ...] = (
    (BusinessRuleError, RuleRefusedError),
    (PermissionDeniedError, AccountRefusedError),
    (NotSupportedError, NotPossibleError),
)


@contextmanager
def reasons_told() -> Iterator[None]:
    """Show `reason` and `remote_status` of what the capabilities deny as members of the problem."""
    try:
        yield
    except LineshaftError as error:
        kind = next((shown for known, shown in _SHOWN if isinstance(error, known)), None)
        if kind is None or "reason" not in error.extra:
            raise
        extra = {"reason": error.extra["reason"], "remote_status": error.extra.get("status")}
        raise kind(error.detail, code=error.code, errors=error.errors, extra=extra) from error
