"""Answers to requests of flows: as output, or as the error they stand for. Secrets of the request are cut from both."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from core.errors import (
    ConflictError,
    LineshaftError,
    NotFoundError,
    RateLimitedError,
    SourceAnswer,
    TransientError,
    ValidationFailedError,
)
from core.http import Response
from core.http.contents import decoded_text
from core.http.redaction import clean_value
from core.json import InvalidJsonError, loads_strict
from core.redaction import CUT, is_secret_key, redact_text
from flows.engine.turn import OutcomeLostError
from integrations.sdk.answers import retry_after_seconds

SAID_CHARACTERS = 200
MAX_HEADER_CHARACTERS = 1000
_NOT_TOLD = frozenset(
    {
        "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate", "set-cookie",
        "set-cookie2", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# A gateway says so of a request that it passed on: whether it arrived, it does not know.
_GATEWAY_LOST = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_MEANS: dict[int, type[LineshaftError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.GONE: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.PRECONDITION_FAILED: ConflictError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


def output_of(response: Response) -> dict[str, Any]:
    """{status, headers, body}: header names in lower case; `body` the JSON it is, else its text, null for none."""
    headers = {
        name.lower(): CUT
        if is_secret_key(name)
        else response.clean(value).replace("\x00", "\ufffd")[:MAX_HEADER_CHARACTERS]
        for name, value in response.headers.items()
        if name.lower() not in _NOT_TOLD
    }
    return {"status": response.status, "headers": headers, "body": _body(response)}


def refusal_of(response: Response, expected: Sequence[int], *, is_repeatable: bool) -> LineshaftError:
    """The error of an answer with another status than was expected. Only what is retryable is tried again."""
    status = response.status
    said = _said(response)
    wanted = f"one of {', '.join(map(str, expected))}" if expected else "200 to 299"
    detail = f"The answer was {status}, not {wanted}.{f' It says: {said}' if said else ''}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        detail += " Check the secret that the step sends."
    told: dict[str, Any] = {"code": f"HTTP_{status}", "source": SourceAnswer(status=status, message=said or None)}
    if status in _GATEWAY_LOST and not is_repeatable:
        return OutcomeLostError(f"{detail} Whether the request was done is not known.", **told)
    wait = retry_after_seconds(response)
    if status in _MEANS:
        kind = _MEANS[status]
        return kind(detail, retry_after=wait, **told) if kind is RateLimitedError else kind(detail, **told)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(detail, retry_after=wait, **told)
    return ValidationFailedError(detail, **told)


def _said(response: Response) -> str:
    text = decoded_text(response.body, response.headers.get("content-type", "")) or ""
    cleaned = redact_text(response.clean(text))
    return cleaned if len(cleaned) <= SAID_CHARACTERS else f"{cleaned[:SAID_CHARACTERS]}…"


def _body(response: Response) -> Any:
    body, kind = response.body, response.headers.get("content-type", "")
    if not body:
        return None
    if "json" in kind.lower() or body.lstrip()[:1] in (b"{", b"["):
        try:
            return clean_value(loads_strict(body), response.clean)
        except InvalidJsonError:
            pass  # told as the text it is
    text = decoded_text(body, kind)
    return response.clean(text) if text is not None else f"({len(body)} bytes of {kind[:100] or 'an unnamed type'})"
