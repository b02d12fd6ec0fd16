"""Which answer an exception becomes: the one table of categories and statuses, and what framework exceptions mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions as drf

from core.errors import (
    BugError,
    Category,
    FieldError,
    LineshaftError,
    NotFoundError,
    SourceAnswer,
    ValidationFailedError,
    WhoMustAct,
)
from core.json import pointer

# Without `source` we refuse on our own account. An AuthError is by definition about an upstream credential, so it never
# becomes 401: only core.api_errors.NotAuthenticatedError (and DRF's) do, and the caller's own token stays unsuspected.
STATUS_BY_CATEGORY: dict[Category, int] = {
    Category.CONFIG: 422,
    Category.AUTH: 424,
    Category.PERMISSION: 403,
    Category.NOT_LICENSED: 403,
    Category.RATE_LIMITED: 429,
    Category.TRANSIENT: 503,
    Category.NOT_FOUND: 404,
    Category.VALIDATION: 422,
    Category.BUSINESS_RULE: 422,
    Category.CONFLICT: 409,
    Category.NOT_SUPPORTED: 422,
    Category.TIMEOUT_UNKNOWN: 504,
    Category.BUG: 500,
}
# With `source` an upstream system refused: 424 Failed Dependency where a plain status would accuse the caller's token.
STATUS_OF_UPSTREAM_REFUSAL: dict[Category, int] = {
    Category.PERMISSION: 424,
    Category.NOT_LICENSED: 424,
}
TITLES: dict[Category, str] = {
    Category.CONFIG: "The configuration is wrong",
    Category.AUTH: "Authentication failed",
    Category.PERMISSION: "Not permitted",
    Category.NOT_LICENSED: "Not licensed",
    Category.RATE_LIMITED: "Too many requests",
    Category.TRANSIENT: "Temporarily unavailable",
    Category.NOT_FOUND: "Not found",
    Category.VALIDATION: "The request is not valid",
    Category.BUSINESS_RULE: "A business rule forbids it",
    Category.CONFLICT: "Conflict",
    Category.NOT_SUPPORTED: "Not supported",
    Category.TIMEOUT_UNKNOWN: "The outcome is not known",
    Category.BUG: "Internal error",
}
INTERNAL_DETAIL = "Something went wrong on our side. Give the request id to the operator, who finds it in the log."


@dataclass(frozen=True)
class Problem:
    """One failure as the API shows it, before the request id is known."""

    status: int
    code: str
    category: Category
    detail: str
    retryable: bool = False
    who_must_act: WhoMustAct = WhoMustAct.DEVELOPER
    errors: tuple[FieldError, ...] = ()
    source: SourceAnswer | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def problem_of(error: BaseException) -> Problem:
    """The answer to any exception. What nobody expected becomes 500 and shows nothing of its inside."""
    if isinstance(error, LineshaftError):
        return _of_ours(error)
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if isinstance(error, Http404):
        return _of_ours(NotFoundError("There is nothing here under this address."))
    if isinstance(error, PermissionDenied):
        return Problem(403, "PERMISSION_DENIED", Category.PERMISSION, "You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return Problem(413, "BODY_TOO_LARGE", Category.VALIDATION, "The body has more bytes than are accepted.")
    if isinstance(error, UnreadablePostError):
        return Problem(400, "BAD_REQUEST", Category.VALIDATION, "The body ended before its announced length.")
    if isinstance(error, SuspiciousOperation):
        return Problem(400, "BAD_REQUEST", Category.VALIDATION, "The request is malformed.")
    return _of_ours(BugError(INTERNAL_DETAIL))


def status_of(error: LineshaftError) -> int:
    """The HTTP status: the class's own, else the table's."""
    own: int | None = getattr(error, "http_status", None)
    if own is not None:
        return own
    if error.source is not None and error.category in STATUS_OF_UPSTREAM_REFUSAL:
        return STATUS_OF_UPSTREAM_REFUSAL[error.category]
    return STATUS_BY_CATEGORY[error.category]


def _of_ours(error: LineshaftError) -> Problem:
    status = status_of(error)
    return Problem(
        status=status,
        code=error.code,
        category=error.category,
        detail=INTERNAL_DETAIL if status == HTTPStatus.INTERNAL_SERVER_ERROR else error.detail,
        retryable=error.retryable,
        who_must_act=error.who_must_act,
        errors=error.errors,
        source=error.source,
        headers=_headers(status, error.retry_after),
        extra=error.extra if hasattr(error, "http_status") else {},
    )


def _headers(status: int, retry_after: float | None) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="lineshaft"'}
    if retry_after is not None and status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return {}


_DRF_CATEGORIES: dict[type[drf.APIException], tuple[int, str, Category]] = {
    drf.ParseError: (400, "BAD_REQUEST", Category.VALIDATION),
    # 401 whatever DRF makes of it: without `authenticate_header` it would say 403.
    drf.NotAuthenticated: (401, "AUTHENTICATION_FAILED", Category.AUTH),
    drf.AuthenticationFailed: (401, "AUTHENTICATION_FAILED", Category.AUTH),
    drf.PermissionDenied: (403, "PERMISSION_DENIED", Category.PERMISSION),
    drf.NotFound: (404, "NOT_FOUND", Category.NOT_FOUND),
    drf.MethodNotAllowed: (405, "METHOD_NOT_ALLOWED", Category.NOT_SUPPORTED),
    drf.NotAcceptable: (406, "NOT_ACCEPTABLE", Category.NOT_SUPPORTED),
    drf.UnsupportedMediaType: (415, "UNSUPPORTED_MEDIA_TYPE", Category.NOT_SUPPORTED),
    drf.Throttled: (429, "RATE_LIMIT_EXCEEDED", Category.RATE_LIMITED),
}


def _of_drf(error: drf.APIException) -> Problem:
    if isinstance(error, drf.ValidationError):
        errors = tuple(_flatten(error.detail, ()))
        return _of_ours(ValidationFailedError(_summary(errors), errors=errors))
    known = next((answer for kind, answer in _DRF_CATEGORIES.items() if isinstance(error, kind)), None)
    if known is None:
        return _of_other_drf(error)
    status, code, category = known
    retryable = category is Category.RATE_LIMITED
    return Problem(
        status=status,
        code=code,
        category=category,
        detail=str(error.detail),
        retryable=retryable,
        who_must_act=WhoMustAct.NOBODY if retryable else WhoMustAct.DEVELOPER,
        headers=_headers(status, getattr(error, "wait", None)),
    )


def _of_other_drf(error: drf.APIException) -> Problem:
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if error.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            return _of_ours(BugError(INTERNAL_DETAIL))
        category, who, retryable = Category.TRANSIENT, WhoMustAct.NOBODY, True
    else:
        category, who, retryable = Category.VALIDATION, WhoMustAct.DEVELOPER, False
    code = str(error.default_code).upper()
    return Problem(error.status_code, code, category, str(error.detail), retryable=retryable, who_must_act=who)


def _flatten(detail: Any, path: tuple[str | int, ...]) -> Iterator[FieldError]:
    """DRF's nested details as pointers. Errors of a whole object carry the object's pointer."""
    if isinstance(detail, Mapping):
        for key, item in detail.items():
            yield from _flatten(item, path if key == "non_field_errors" else (*path, key))
    elif isinstance(detail, list | tuple):
        for index, item in enumerate(detail):
            # A list of messages belongs to one field; a list of objects has one per item, {} where it was right.
            nested = isinstance(item, Mapping | list | tuple)
            yield from _flatten(item, (*path, index) if nested else path)
    else:
        code = str(getattr(detail, "code", None) or "invalid").upper()
        yield FieldError(pointer=pointer(*path), code=code, detail=str(detail))


def _summary(errors: tuple[FieldError, ...]) -> str:
    if len(errors) == 1:
        return f"{errors[0].pointer}: {errors[0].detail}" if errors[0].pointer else errors[0].detail
    return f"{len(errors)} values are wrong; `errors` names each."
