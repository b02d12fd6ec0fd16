"""A raw call: what the caller asks, made with the connection's credential through its door, budget, circuit and log.

It is made once. Nothing is mapped, stored beside the log, or tried again.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog
from django.db import IntegrityError
from django.utils import timezone

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services.budget import take_call
from connections.services.calls import CallLog
from connections.services.health import let_probe_through, record_success, record_trouble
from connections.services.opening import connector_of, open_connector
from connections.services.sharing import demand_raw_calls
from core.errors import (
    AuthError,
    BadAnswerError,
    ConflictError,
    FieldError,
    LineshaftError,
    RateLimitedError,
    TransientError,
    ValidationFailedError,
)
from core.http import UNSET, Response
from core.http.contents import decoded_text
from core.http.redaction import clean_value
from core.json import BodyTooLargeError, InvalidJsonError, RawJson, dumps, loads_strict
from core.redaction import CUT, is_secret_key
from integrations.sdk.answers import error_of
from integrations.sdk.connector import Connector
from integrations.sdk.raw_calls import RAW_ANSWER_BYTES, RAW_REQUEST_BYTES, RAW_SECONDS, check_names
from workspaces import audit

__all__ = ["RawAnswer", "RawCall", "is_reading", "pass_through"]

# A raw call keeps a thread of the web process for as long as the system takes: some must stay free for everybody else.
AT_ONCE = 4
MAX_PARAMETERS = 100
_DROPPED_HEADERS = frozenset(
    {
        "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate", "set-cookie",
        "set-cookie2", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# What a gateway answers in the place of a system that is not there. Other refusals are those of one call.
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_SAYS_NOTHING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
_places = threading.BoundedSemaphore(AT_ONCE)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RawCall:
    """What is asked. `path` as the system's connector takes it; `body` UNSET is none."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = UNSET


@dataclass(frozen=True)
class RawAnswer:
    """What the system answered, the connection's secrets cut. `encoding` says what `body` is: json, text, base64, or
    None when there is none. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: Any
    encoding: str | None


def is_reading(connection: Connection, call: RawCall) -> bool:
    """Whether the scope to read is enough. Errors: ConfigError SYSTEM_UNKNOWN."""
    return connector_of(connection).is_read(call.method, call.path)


def pass_through(connection: Connection, call: RawCall, *, by: str) -> RawAnswer:
    """Make the call and answer what came, of whatever status. `by` is who asks, kept with the call.

    Errors: ConflictError CONNECTION_DISCONNECTED, AuthError NEEDS_REAUTH; ValidationFailedError for what may not be
    called (PATH_REFUSED, HEADER_REFUSED, METHOD_REFUSED) or an answer of more than 5 MiB; BodyTooLargeError;
    RateLimitedError when the budget is used up; TransientError when the system does not answer; TimeoutUnknownError
    when a write may have been done.
    """
    _refuse_ended(connection)
    _check(call, is_read=is_reading(connection, call))
    audit.credential_used(connection.pk, connection.workspace_id, "passthrough")
    calls, opened_at = CallLog(connection), timezone.now()
    try:
        with _place(), open_connector(connection, on_call=calls) as connector:
            _admit(connection, connector)
            response = _send(connector, call)
    except LineshaftError as error:
        if len(calls):
            _note_failure(connection, error, opened_at)
        raise
    finally:
        made = _kept(calls, by)
        log.info("passthrough_called", connection_id=str(connection.pk), method=call.method, calls=made, by=by)
    _note_answer(connection, response)
    return _answer(response)


def _kept(calls: CallLog, by: str) -> int:
    """How many calls were written down: none when the connection was deleted and purged while they went on."""
    try:
        return calls.save(triggered_by=by)
    except IntegrityError:
        return 0


def _refuse_ended(connection: Connection) -> None:
    demand_raw_calls(connection)
    if connection.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")
    if connection.health == ConnectionStatus.NEEDS_REAUTH:
        raise AuthError("The customer must sign in again before this connection can be used.", code="NEEDS_REAUTH")


def _check(call: RawCall, *, is_read: bool) -> None:
    check_names(call.headers, call.query, is_read=is_read)
    if len(call.query) > MAX_PARAMETERS:
        raise _wrong("/query", f"A call takes at most {MAX_PARAMETERS} parameters.")
    for name, value in call.query.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str | int | float | None) for each in values):
            raise _wrong("/query", f"{name[:60]} must be a text, a number, true, false, or a list of these.")
    if call.body is not UNSET:
        size = len(dumps(call.body).encode())
        if size > RAW_REQUEST_BYTES:
            raise BodyTooLargeError(f"`body` has {size} bytes; at most {RAW_REQUEST_BYTES} are sent.")


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        detail = f"{AT_ONCE} raw calls are under way in this web process already."
        raise RateLimitedError(detail, code="TOO_MANY_AT_ONCE", retry_after=1)
    try:
        yield
    finally:
        _places.release()


def _admit(connection: Connection, connector: Connector) -> None:
    """The budget, then the circuit: its one probe must not be taken by a call that is not made."""
    seconds = take_call(connection, connector.limits, for_operations=True)
    if seconds:
        raise RateLimitedError("The calls this system allows a minute are used up.", retry_after=seconds)
    if let_probe_through(connection.pk, connection.workspace_id):
        return
    connection.refresh_from_db(fields=["circuit_open_until"])
    until = connection.circuit_open_until
    wait = (until - timezone.now()).total_seconds() if until else 0.0
    raise TransientError(
        "The system did not answer several times in a row and is left alone for a while.",
        code="CONNECTION_OFFLINE",
        retry_after=max(wait, 1.0),
    )


def _send(connector: Connector, call: RawCall) -> Response:
    connector.call_seconds = min(connector.call_seconds, RAW_SECONDS)  # type: ignore[misc]  # of this one alone
    try:
        return connector.passthrough(call.method, call.path, call.query, call.headers, call.body)
    except BadAnswerError as error:
        if error.code != "ANSWER_TOO_LARGE":
            raise
        limit = RAW_ANSWER_BYTES // 1024 // 1024
        raise ValidationFailedError(
            f"The answer is larger than {limit} MiB: ask for less.", code="ANSWER_TOO_LARGE"
        ) from error


def _note_failure(connection: Connection, error: LineshaftError, opened_at: datetime) -> None:
    if isinstance(error, TransientError | AuthError):
        record_trouble(connection.pk, connection.workspace_id, error, opened_at=opened_at)


def _note_answer(connection: Connection, response: Response) -> None:
    """What an answer tells about the connection. A refusal or a crash of the one call that somebody tries out must not
    stop its syncs."""
    if response.status in _AWAY:
        trouble = error_of(response)
        if isinstance(trouble, TransientError):
            record_trouble(connection.pk, connection.workspace_id, trouble)
    elif response.status < HTTPStatus.INTERNAL_SERVER_ERROR and response.status not in _SAYS_NOTHING:
        record_success(connection.pk, connection.workspace_id)


def _answer(response: Response) -> RawAnswer:
    headers = {
        name.lower(): CUT if is_secret_key(name) else response.clean(value)
        for name, value in response.headers.items()
        if name.lower() not in _DROPPED_HEADERS
    }
    return RawAnswer(response.status, headers, *_body(response))


def _body(response: Response) -> tuple[Any, str | None]:
    body, kind = response.body, response.headers.get("content-type", "")
    if not body:
        return None, None
    if "json" in kind.lower() or body.lstrip()[:1] in (b"{", b"["):
        try:
            value = loads_strict(body, max_bytes=RAW_ANSWER_BYTES)
        except InvalidJsonError:
            pass  # shown as the text it is
        else:
            cleaned = clean_value(value, response.clean)
            # As it came, so that no number is written in another way.
            return (RawJson(body) if cleaned == value else cleaned), "json"
    text = decoded_text(body, kind)
    if text is not None:
        return response.clean(text), "text"
    # Each byte as one character and back: what is plain in there can be found.
    return b64encode(response.clean(body.decode("latin-1")).encode("latin-1")).decode(), "base64"


def _wrong(pointer: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, errors=(FieldError(pointer, "INVALID", detail),))
