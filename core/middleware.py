"""Each request has an id, which stands in its log lines, its answer and its problem document."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from core.ids import new_id

_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Asked every few seconds by load balancers.
_QUIET_PATHS = frozenset({"/livez", "/readyz"})

log = structlog.get_logger(__name__)


class RequestIdMiddleware:
    """Take a sane `X-Request-Id` or make one, bind it to the log context, answer it, log one line per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = _request_id(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 500
        try:
            response = self.get_response(request)
            status = response.status_code
            response["X-Request-Id"] = request_id
            return response
        finally:
            _log(request, status, started)
            structlog.contextvars.clear_contextvars()


def _request_id(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SANE.fullmatch(given) else f"req_{new_id().hex}"


def _log(request: HttpRequest, status: int, started: float) -> None:
    write = log.debug if request.path in _QUIET_PATHS else log.info
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    # The path only: query strings may hold anything.
    write("request", method=request.method, path=request.path, status=status, ms=milliseconds)
