"""What may not be written, as the API tells it: with the reason, before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from core.errors import BusinessRuleError, LineshaftError, PermissionDeniedError


@dataclass(eq=False)
class RuleRefusedError(BusinessRuleError):
    """Declaration, mapping, status or an administrator speaks against it; `reason` tells which."""

    http_status: ClassVar[int] = 422


@dataclass(eq=False)
class AccountRefusedError(PermissionDeniedError):
    """The connection's account may not do it in the system. The caller's token is not at fault, so this is no 403."""

    http_status: ClassVar[int] = 422


@contextmanager
def reasons_told() -> Iterator[None]:
    """Show `reason` and `remote_status` of what the capabilities deny as members of the problem."""
    try:
        yield
    except (BusinessRuleError, PermissionDeniedError) as error:
        if "reason" not in error.extra:
            raise
        raise _with_reason(error) from error


def _with_reason(error: LineshaftError) -> LineshaftError:
    kind = AccountRefusedError if isinstance(error, PermissionDeniedError) else RuleRefusedError
    extra = {"reason": error.extra["reason"], "remote_status": error.extra.get("status")}
    return kind(error.detail, code=error.code, errors=error.errors, extra=extra)
