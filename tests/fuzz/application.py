"""The whole web application as schemathesis calls it, in this process, on the transaction of the test's world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, close_old_connections, connections, transaction

API, STATEFUL = "/api/v1/", "stateful"


@dataclass(frozen=True)
class ServerError:
    """An answer of the kind that must not be: what was sent, and what came."""

    status: int
    request: str
    answer: str

    def __str__(self) -> str:
        return f"{self.status} {self.request} -> {self.answer}"


@dataclass
class Application:
    """Counts what is sent to the API and what comes back. What a request wrote is undone, so that each finds the world as
    it was built, but in the phase of requests that follow from each other.

    Each request is checked as its COMMIT would be: constraints and triggers that wait for it fire before the undoing.
    """

    phase: str = ""
    cases: int = 0
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    errors: list[ServerError] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._django = get_wsgi_application()
        self._database = connections["default"]
        with self._database.cursor() as cursor:  # making cases can take longer than a transaction may stand still
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # Schemathesis calls from a thread of its own, one at a time.
        self._database.inc_thread_sharing()

    @contextmanager
    def running(self) -> Iterator[Application]:
        """Meanwhile the end of a request does not end the session with the database, and with it the transaction."""
        watched = (signals.request_started, signals.request_finished)
        for signal in watched:
            signal.disconnect(close_old_connections)
        try:
            yield self
        finally:
            for signal in watched:
                signal.connect(close_old_connections)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connections["default"] = self._database
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(content)
        status, headers, answer = self._answer(environ)
        if environ["PATH_INFO"].startswith(API):
            self._note(environ, content, status, answer)
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [answer]

    def _answer(self, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        told: dict[str, Any] = {}
        content: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Callable[[bytes], object]:
            told.update(status=int(status.split()[0]), headers=headers)
            return content.append

        with self._undone():
            response = self._django(environ, start)
            answer = b"".join(response)
            response.close()
        return told["status"], told["headers"], answer

    @contextmanager
    def _undone(self) -> Iterator[None]:
        with transaction.atomic():
            yield
            try:
                with transaction.atomic():
                    self._database.check_constraints()
            except DatabaseError as error:
                self.unanswered.append(f"COMMIT would have failed: {error}")
                transaction.set_rollback(True)
            if self.phase != STATEFUL:
                transaction.set_rollback(True)

    def _note(self, environ: dict[str, Any], content: bytes, status: int, answer: bytes) -> None:
        self.cases += 1
        self.statuses.setdefault(self.phase, Counter())[status] += 1
        if status >= 500:
            query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
            request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query} {content[:400]!r}"
            self.errors.append(ServerError(status, request, answer[:400].decode("utf-8", "replace")))
