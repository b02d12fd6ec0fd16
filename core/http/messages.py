"""What goes through the door and what comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

import orjson

from core.errors import BadAnswerError, BugError, ConfigError
from core.http.contents import NOTHING, Content
from core.http.redaction import NO_SECRETS, Redaction
from core.http.urls import Params

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
USER_AGENT = "Lineshaft"
EXCERPT_LENGTH = 200
# Set by the door itself; a caller's own value would break framing, aim at another host or undo the size limit.
RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Unset(Enum):
    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class Request:
    """One call. `json` is sent as JSON even when it is None; `content` is sent as it is; at most one of both.

    Units: `total_timeout` and `connect_timeout` are seconds; the total covers everything, waiting for another call of
    the same door included. `max_bytes` counts the body after decompression.
    `is_write`: a failure after the first byte was sent is a TimeoutUnknownError.
    `not_after`: on the clock of `time.monotonic()`; from then on no first byte is sent.
    """

    method: str
    url: str
    params: Params | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=UNSET, repr=False)
    content: bytes | None = field(default=None, repr=False)
    total_timeout: float = 60.0
    connect_timeout: float = 10.0
    max_bytes: int = DEFAULT_MAX_BYTES
    is_write: bool = False
    not_after: float | None = None


@dataclass(frozen=True)
class Outgoing:
    """The request as it is put on the wire."""

    method: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Response:
    """An answer of any status, its body whole and decompressed. `headers` ignores case; `url` is the last one called."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str
    elapsed_seconds: float
    clean: Callable[[str], str] = field(default=str, repr=False, compare=False)

    def json(self) -> Any:
        """The body as JSON. Errors: BadAnswerError NOT_JSON that says what came instead (a login page, mostly)."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            excerpt = self.clean(self.body[: EXCERPT_LENGTH * 4].decode(errors="replace"))[:EXCERPT_LENGTH]
            detail = f"Expected JSON, got {self.clean(self._kind())} (status {self.status})."
            # Not chained: the parser's error carries the whole body with it.
            raise BadAnswerError(detail, code="NOT_JSON", log_detail=f"{error}: {excerpt!r}") from None

    def _kind(self) -> str:
        if not self.body.strip():
            return "an empty answer"
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == "text/html" or self.body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "HTML (a login or error page?)"
        return content_type[:100] or "an answer without a content type"


@dataclass(frozen=True)
class CallRecord:
    """One call for history and metrics, secrets cut. `status` is None and `error_code` set when no answer came.

    Units: `started_at` is UTC; bytes are those of HTTP on the wire, headers included, before TLS. The texts of the
    bodies are made when they are asked for; until then only the beginnings of the bodies are kept.
    """

    method: str
    url: str
    status: int | None
    started_at: datetime
    elapsed_ms: float
    request_bytes: int
    response_bytes: int
    error_code: str = ""
    sent: Content = NOTHING
    answered: Content = NOTHING
    redaction: Redaction = field(default=NO_SECRETS, repr=False, compare=False)

    @property
    def request_body(self) -> str:
        """At most 4,096 characters of what was sent, secrets cut."""
        return self.sent.text(self.redaction)

    @property
    def response_body(self) -> str:
        """At most 4,096 characters of what was answered, secrets cut; those learned since the call too."""
        return self.answered.text(self.redaction)


def outgoing(request: Request) -> Outgoing:
    """Check and complete what is sent.

    Errors: ConfigError HEADER_REFUSED naming the header, never its value; BugError for a request that cannot be built.
    """
    if not _TOKEN.fullmatch(request.method):
        raise BugError("The method of a request is not an HTTP token.")
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
    body = _body(request)
    if request.json is not UNSET:
        headers["Content-Type"] = "application/json"
    for name, value in request.headers.items():
        check_header(name, value)
        standard = name.title() if name.title() in headers else name
        headers[standard] = value
    return Outgoing(request.method.upper(), headers, body)


def _body(request: Request) -> bytes | None:
    if request.json is UNSET:
        return request.content
    if request.content is not None:
        raise BugError("A request has both json and content.")
    try:
        return orjson.dumps(request.json)
    except orjson.JSONEncodeError as error:
        raise BugError(f"The body of a request cannot be written as JSON: {error}") from error


def check_header(name: str, value: str) -> None:
    """Errors: ConfigError HEADER_REFUSED naming the header, never its value."""
    if not _TOKEN.fullmatch(name):
        raise ConfigError("A header's name holds characters that headers may not have.", code="HEADER_REFUSED")
    if name.lower() in RESERVED_HEADERS:
        raise ConfigError(f"The header {name} is set by the platform itself.", code="HEADER_REFUSED")
    if not _VALUE.fullmatch(value):
        detail = (
            f"The value of the header {name} holds line breaks or characters that headers may not have: paste it anew."
        )
        raise ConfigError(detail, code="HEADER_REFUSED")
