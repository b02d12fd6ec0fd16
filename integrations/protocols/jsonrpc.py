"""Tryton-flavoured JSON-RPC: one address, a session to sign in to, errors inside answers of status 200.

Body: exactly `{"id", "method", "params"}`. With a member more trytond 8.2 drops the envelope and answers errors as HTML.
Errors are told apart by HTTP status and by the error's own class name, never by its text (which is translated).
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import orjson

from core.errors import (
    AuthError,
    BadAnswerError,
    BusinessRuleError,
    ConfigError,
    ConflictError,
    LineshaftError,
    PermissionDeniedError,
    SourceAnswer,
    TimeoutUnknownError,
    TransientError,
    UnreachableError,
    ValidationFailedError,
)
from core.http import Request, Response
from core.http.redaction import clean_value
from integrations.sdk.answers import error_of
from integrations.sdk.connector import Connector
from integrations.sdk.raw_calls import RAW_ANSWER_BYTES, RAW_SECONDS
from integrations.sdk.writes import WriteCall

MESSAGE_LENGTH = 500
# After so long a call is over in the server too (it ends requests after 60 s), whatever became of its answer.
SETTLE_SECONDS = 65.0
# What a proxy answers when the server took too long: with Retry-After it would count as surely not done.
_PERHAPS_DONE = frozenset({408, 503})
# Methods of models, wizards and reports; never those of the server itself, which sign in and manage databases.
_MODEL = "model."
_CALLABLE = re.compile(r"(model|wizard|report)(\.[a-z0-9_]+)+\.[A-Za-z0-9_]+")
_READING = frozenset({"search", "read", "search_read", "search_count", "fields_get"})


@dataclass(eq=False)
class RpcRefusedError(BusinessRuleError):
    """The system says no (UserError): a rule, a right, a missing value or an unknown id; only what was asked tells which."""

    default_code = "REFUSED_BY_SOURCE"


@dataclass(eq=False)
class RpcWarningError(BusinessRuleError):
    """The system wants a person to confirm a warning (UserWarning) before it goes on."""

    default_code = "CONFIRMATION_REQUIRED"


@dataclass(eq=False)
class RpcFaultError(TransientError):
    """The call failed inside the server: a model or field it does not have, or a defect of its own."""

    default_code = "SERVER_FAULT"


@dataclass(frozen=True)
class Session:
    """A signed-in session: the user's id and the header that carries the token."""

    user_id: int
    authorization: str = field(repr=False)


class JsonRpcConnector(Connector):
    """Calls methods with a session. Signs in when the first call needs it, and once again when a session has ended."""

    rpc_path: ClassVar[str] = "/{database}/rpc/"  # the server demands the final slash
    server_path: ClassVar[str] = "/rpc/"
    one_call_seconds: ClassVar[float] = 60.0  # the server itself ends a request after so long
    login_method: ClassVar[str] = "common.db.login"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session: Session | None = None
        self._call_number = 0
        self._stop_at: float | None = None

    def call(self, method: str, *params: Any) -> Any:
        """Call a method in the session; answers its `result`.

        Errors: AuthError (also when a fresh session is refused), RpcRefusedError, RpcWarningError, RpcFaultError,
        ConflictError, and those of `error_of`; ConfigError where nothing answers at the address.
        """
        had_session = self._session is not None
        session = self._session or self.login()
        response = self._post(method, params, session)
        if response.status == 401 and had_session:  # sessions end: idle, restarted server, changed password
            response = self._post(method, params, self.login())
        if response.status == 401:
            self._session = None
        return self._result(response)

    def call_server(self, method: str, *params: Any) -> Any:
        """Call a method of the server itself, such as `common.server.version`: without database and session."""
        return self._result(self._post(method, params, path=self.server_path))

    def write_call(self, method: str, *params: Any, purpose: str, creates: bool = False) -> WriteCall:
        """A call of a method as it is planned and stored: without the number and the session it gets when it is sent.

        What creates is never sent twice blindly; the others carry the versions they were planned against.
        """
        body = {"method": method, "params": list(params)}
        url = self._url(self.rpc_path)
        return WriteCall("POST", url, body, purpose=purpose, creates=creates, repeatable=not creates)

    def send_write(self, call: WriteCall, not_after: float | None) -> Any:
        """Send a planned call; answers its `result`. A session that had ended is refused before anything is done: then a
        new sign-in, and the call once again.

        Errors: as of `call`, and TimeoutUnknownError; UnreachableError where signing in failed, so nothing was sent;
        RpcRefusedError SERVER_FAULT where the server failed inside, which undoes the whole call.
        """
        if call.url != self._url(self.rpc_path):
            detail = "The connection's address or database changed since this was planned: send it anew."
            raise ConfigError(detail, code="ADDRESS_CHANGED")
        planned = orjson.loads(call.content() or b"{}")
        response = self._write_once(planned, self._session or self._signed_in(), not_after)
        if response.status == 401:
            response = self._write_once(planned, self._signed_in(), not_after)
        if response.status == 401:
            self._session = None
        if response.status in _PERHAPS_DONE:
            detail = f"Something in front of the system ended the call ({response.status}); it may have been done."
            raise TransientError(detail, source=SourceAnswer(status=response.status))
        try:
            return self._result(response)
        except RpcFaultError as error:
            detail = f"The system failed on this and undid it. It says: {error.log_detail}"
            raise RpcRefusedError(detail, code=error.code, source=error.source) from error

    def _write_once(self, planned: Mapping[str, Any], session: Session, not_after: float | None) -> Response:
        request = self._request(planned["method"], tuple(planned["params"]), session)
        return self.send(replace(request, is_write=True, not_after=not_after))

    def _signed_in(self) -> Session:
        """Sign in before a write: what fails here happened before anything was sent."""
        try:
            return self.login()
        except (TransientError, TimeoutUnknownError) as error:
            raise UnreachableError(f"Signing in failed, so nothing was sent. {error}", source=error.source) from error

    @classmethod
    def is_read(cls, method: str, path: str) -> bool:
        """The path is the name of a remote method; only what is known to read counts as reading."""
        called = path.rpartition(".")[2]
        return path.startswith(_MODEL) and (called in _READING or called.startswith("get_"))

    def passthrough(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], body: Any
    ) -> Response:
        """Call the remote method `path`, e.g. "model.party.party.search_read", in a session of its own. `body` is the
        list of its parameters, the context last. The answer is the whole envelope, with `result` or `error`."""
        if method != "POST" or query or headers or not isinstance(body, list) or not _CALLABLE.fullmatch(path):
            detail = (
                f"A raw call to {self.title} is POST, without query and headers. Its path is the name of a method, such as"
                " model.party.party.search_read, and its body the list of the method's parameters with the context last."
            )
            raise ValidationFailedError(detail, code="NOT_A_REMOTE_CALL")
        with self.within(RAW_SECONDS):
            request = self._request(path, tuple(body), self.login())
            return self.send(replace(request, max_bytes=RAW_ANSWER_BYTES, is_write=not self.is_read(method, path)))

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All calls of the block together take at most so long: each gets what is left, as a lease covers the whole."""
        outer, self._stop_at = self._stop_at, time.monotonic() + seconds
        try:
            yield
        finally:
            self._stop_at = outer

    def login(self) -> Session:
        """Sign in anew. Errors: AuthError for user or password, ConfigError naming `database`, RateLimitedError."""
        self._session = None
        user, password = str(self.settings.config["user"]), self.settings.secrets["password"]
        response = self._post(self.login_method, (user, {"password": password}, "en"))
        if response.status == 401 and self.reread_secrets():
            password = self.settings.secrets["password"]
            response = self._post(self.login_method, (user, {"password": password}, "en"))
        if response.status == 401:
            source = SourceAnswer(status=401)
            detail = "The system does not accept this user name and password. Check both, then sign in again."
            raise AuthError(detail, source=source)
        result = self._result(response)
        # Newer series answer a third value, the address of their message bus.
        if not isinstance(result, list) or len(result) < 2 or not isinstance(result[0], int):
            raise BadAnswerError("The sign-in answers something else than a user and a session.")
        self.door.hide(str(result[1]))
        token = b64encode(f"{user}:{result[0]}:{result[1]}".encode()).decode()
        self._session = Session(result[0], f"Session {token}")
        return self._session

    def _post(
        self, method: str, params: tuple[Any, ...], session: Session | None = None, path: str | None = None
    ) -> Response:
        return self.send(self._request(method, params, session, path))

    def _request(
        self, method: str, params: tuple[Any, ...], session: Session | None = None, path: str | None = None
    ) -> Request:
        self._call_number += 1
        return Request(
            method="POST",
            url=self._url(path or self.rpc_path),
            headers={"Authorization": session.authorization} if session else {},
            json={"id": self._call_number, "method": method, "params": params},
            total_timeout=self._seconds_left(),
        )

    def _seconds_left(self) -> float:
        if self._stop_at is None:
            return self.call_seconds
        left = min(self._stop_at - time.monotonic(), self.one_call_seconds)
        if left <= 0:
            raise TransientError("The calls for one page took too long together; a smaller page size may help.")
        return left

    def _url(self, path: str) -> str:
        base = str(self.settings.config.get("base_url") or "").rstrip("/")
        database = str(self.settings.config.get("database") or "")
        if not base or not database:
            raise ConfigError("The connection needs `base_url` and `database`.")
        if not all(character.isalnum() or character in "_-." for character in database):
            raise ConfigError("`database` is a plain name: letters, digits, `_`, `-` and `.`.")
        return base + path.format(database=database)

    def _result(self, response: Response) -> Any:
        if not 200 <= response.status < 300:
            raise self._http_error(response)
        answer = response.json()
        if isinstance(answer, dict) and answer.get("error") is not None:
            raise error_in(clean_value(answer["error"], response.clean))
        if not isinstance(answer, dict) or "result" not in answer:
            raise BadAnswerError("The answer is no JSON-RPC envelope: another program may listen at this address.")
        return answer["result"]

    def _http_error(self, response: Response) -> LineshaftError:
        """The error of a status that is not 2xx. Never NotFoundError: 404 is about the database, not about an object."""
        status, source = response.status, SourceAnswer(status=response.status)
        if status in (404, 405, 410):
            database = self.settings.config.get("database")
            detail = f"There is no database {database!r} at this address: check `database` and `base_url`."
            return ConfigError(detail, code="DATABASE_NOT_FOUND", source=source)
        if status == 403:
            detail = (
                "The server refuses this call: its version does not offer it, or a proxy in front of it forbids it."
            )
            return PermissionDeniedError(detail, source=source)
        return error_of(response)


def error_in(found: Any) -> LineshaftError:
    """The error of an answer's `error`: ["UserError", [message, description, domain]], ["ConcurrencyException", text],
    ["UserWarning", [name, message, description]], ["LoginException", ...] or [text, traceback] for a defect."""
    parts = found if isinstance(found, list) and found else [str(found)]
    kind = parts[0] if isinstance(parts[0], str) else ""
    said = _texts(parts[1] if len(parts) > 1 else None)
    if kind == "UserError":
        return RpcRefusedError(f"The system refuses it. It says: {said}", source=_source(kind, said))
    if kind == "UserWarning":
        asked = _texts(parts[1][1:]) if len(parts) > 1 and isinstance(parts[1], list) else said
        return RpcWarningError(f"The system wants a confirmation. It says: {asked}", source=_source(kind, asked))
    if kind == "ConcurrencyException":
        return ConflictError("The object was changed meanwhile.", source=_source(kind, said))
    if kind == "LoginException":
        return AuthError("The system asks for another way to sign in than a password.", source=_source(kind, None))
    # The rest is [text, traceback]; the traceback is the customer's own code and stays there.
    source = _source("", kind[:MESSAGE_LENGTH])
    return RpcFaultError("The call failed inside the system's server.", source=source, log_detail=kind[:MESSAGE_LENGTH])


def _source(code: str, message: str | None) -> SourceAnswer:
    return SourceAnswer(status=200, code=code or None, message=message)


def _texts(value: Any) -> str:
    """The texts of a message, joined; the server leaves its parts empty or null."""
    parts = value if isinstance(value, list) else [value]
    return " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())[:MESSAGE_LENGTH]
