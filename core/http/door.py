"""The one door out: every call of the platform leaves through a `Door`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from core.errors import LineshaftError, TransientError
from core.http.client import Answer, Client
from core.http.contents import NOTHING, content_of
from core.http.exchange import Exchange
from core.http.messages import CallRecord, Outgoing, Request, Response, outgoing
from core.http.policy import EgressPolicy
from core.http.redaction import Redaction
from core.http.redirects import MAX_REDIRECTS, is_redirect, next_outgoing, next_target, refused
from core.http.sockets import Call
from core.http.tls import TlsOptions, tls_context
from core.http.transport import Route
from core.http.urls import Target, parse_proxy, parse_target

# Stands in the record for an address that was refused unread: it may hold a password.
UNREADABLE_URL = "(unreadable address)"


class Door:
    """Sends requests under one policy, keeping connections open between them.

    Used by one thread at a time: a second one waits for its turn, within its own time limit. Nothing comes from the
    environment: no proxies, no .netrc; cookies are neither kept nor sent.
    `proxy` is `http://[user:password@]host:port`; its address is judged by the policy, for the target see
    `core.http.transport.check_behind_proxy`.
    `secrets` are cut from errors and records in every form they may take there, as are those told later by `hide`.
    `on_call` gets each call's record.
    Errors: ConfigError for TLS options or a proxy that cannot be used.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        tls: TlsOptions | None = None,
        proxy: str | None = None,
        secrets: Iterable[str] = (),
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> None:
        self.policy = policy
        via = parse_proxy(proxy) if proxy else None
        self._proxy = via
        self._client = Client(Route(policy, tls_context(tls), via))
        self._redaction = Redaction([*secrets, *([via.password] if via and via.password else [])])
        self._on_call = on_call
        self._turns = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """An error that leaves shows none of the door's secrets, whoever raised it: a connector's bug may hold any."""
        if error is not None:
            self._redaction.clean_error(error)
        self.close()

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """The same for a part of what is done with the door, where its errors are caught and told."""
        try:
            yield
        except Exception as error:
            self._redaction.clean_error(error)
            raise

    def close(self) -> None:
        """Close the kept connections; the door may be used again."""
        with self._turns:
            self._client.close()

    def hide(self, *secrets: str) -> None:
        """Cut these too from now on: a session or token that was just learned."""
        self._redaction.add(secrets)

    def send(self, request: Request) -> Response:
        """Make one call and answer whatever status came.

        Errors: ConfigError (URL_REFUSED, HEADER_REFUSED, REDIRECT_REFUSED), EgressDeniedError, TlsError,
        UnreachableError, TransientError, BadAnswerError; once bytes of a write may have left: TimeoutUnknownError.
        """
        call, started_at, begun = Call(request.total_timeout), datetime.now(UTC), time.monotonic()
        status, code, url, sending, answer = None, "", UNREADABLE_URL, None, None
        try:
            with self._turn(request):
                target = parse_target(request.url, request.params)
                url = target.url
                sending = outgoing(request)
                answer, target = self._follow(request, sending, target, call)
            status, url = answer.status, target.url
            elapsed = time.monotonic() - begun
            return Response(status, answer.headers, answer.body, url, elapsed, self._redaction.clean)
        except LineshaftError as error:
            self._redaction.clean_error(error)
            code = error.code
            raise
        finally:
            elapsed_ms = (time.monotonic() - begun) * 1000
            counts = call.sent_bytes, call.received_bytes
            record = CallRecord(request.method, url, status, started_at, elapsed_ms, *counts, code)
            self._report(record, sending, answer)

    def _report(self, record: CallRecord, sending: Outgoing | None, answer: Answer | None) -> None:
        """Tell who listens. Of bodies no more than slices are taken, since pages pass here."""
        if self._on_call is not None:
            self._on_call(
                replace(
                    record,
                    url=self._redaction.clean(record.url),
                    sent=content_of(sending.body, sending.headers) if sending else NOTHING,
                    answered=content_of(answer.body, answer.headers) if answer else NOTHING,
                    redaction=self._redaction,
                )
            )

    @contextmanager
    def _turn(self, request: Request) -> Iterator[None]:
        if not self._turns.acquire(timeout=max(0.0, request.total_timeout)):
            raise TransientError("Another call of the same connection took all the time.", code="WAITED_TOO_LONG")
        try:
            yield
        finally:
            self._turns.release()

    def _follow(self, request: Request, sending: Outgoing, target: Target, call: Call) -> tuple[Answer, Target]:
        """Exchange, and follow what redirects are allowed."""
        for _ in range(MAX_REDIRECTS + 1):
            self.policy.check_scheme(target.scheme, target.host)
            answer = self._client.send(Exchange(request, sending, target, call, self._proxy))
            if not is_redirect(answer.status, answer.headers):
                return answer, target
            location = answer.headers["location"]
            target = next_target(target, location, status=answer.status, is_write=request.is_write)
            sending = next_outgoing(sending, answer.status)
        raise refused(target, f"that more than {MAX_REDIRECTS} times, perhaps in a circle")
