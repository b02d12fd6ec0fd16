"""Refusals of this part with a status of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.errors import ConflictError, TimeoutUnknownError, ValidationFailedError, WhoMustAct


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
