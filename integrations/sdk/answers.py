"""HTTP answers to errors, the same for every connector; odd systems refine it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from math import isfinite
from time import time

from core.errors import (
    AuthError,
    BadAnswerError,
    BusinessRuleError,
    ConflictError,
    LineshaftError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    SourceAnswer,
    TransientError,
    ValidationFailedError,
)
from core.http import Response


def retry_after_seconds(response: Response) -> float | None:
    """Seconds from Retry-After (a number or a date), None without a usable one; at most a day."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), 86_400.0) if isfinite(seconds) else None


def error_of(response: Response, *, message: str | None = None, code: str | None = None) -> LineshaftError:
    """The error an answer that is not 2xx stands for. `message` is the system's own, if one was found; systems there
    are that show the credential they refuse, so it is cut from both texts."""
    status = response.status
    message, code = message and response.clean(message), code and response.clean(code)
    source = SourceAnswer(status=status, code=code, message=message)
    said = f" It says: {message}" if message else ""
    if status == 401:
        return AuthError(f"The system refuses the sign-in.{said}", source=source)
    if status == 403:
        return PermissionDeniedError(f"This account may not do that in the system.{said}", source=source)
    if status in (404, 410):
        return NotFoundError(f"The system has nothing at this address.{said}", source=source)
    if status in (409, 412):
        return ConflictError(f"The object was changed meanwhile.{said}", source=source)
    if status in (429, 423) or (status == 503 and response.headers.get("Retry-After")):
        wait = retry_after_seconds(response)
        return RateLimitedError(f"The system asks us to slow down.{said}", source=source, retry_after=wait)
    if status == 422:
        return BusinessRuleError(f"The system refuses it.{said}", source=source)
    if status >= 500:
        return TransientError(f"The system has an internal error ({status}).{said}", source=source)
    if 400 <= status < 500:
        return ValidationFailedError(f"The system does not accept the request ({status}).{said}", source=source)
    return BadAnswerError(f"The system answers with the unexpected status {status}.", source=source)
