"""One request and its answer: what is put on the wire, and what a failure of it means."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict

from core.errors import LineshaftError, TransientError
from core.http.failures import connect_failure, talk_failure
from core.http.messages import Outgoing, Request
from core.http.sockets import Call
from core.http.urls import Proxy, Target


@dataclass(frozen=True)
class Exchange:
    """A request on its way to `target`, within the time of `call`."""

    request: Request
    sending: Outgoing
    target: Target
    call: Call
    proxy: Proxy | None

    def prepared(self) -> PreparedRequest:
        """The request as requests sends it. Filled in by hand: its own preparation would quote the URL anew."""
        prepared = PreparedRequest()
        prepared.method, prepared.url, prepared.body = self.sending.method, self.target.url, self.sending.body
        prepared.headers = CaseInsensitiveDict(self.sending.headers)
        if self.sending.body is not None:
            prepared.headers["Content-Length"] = str(len(self.sending.body))
        if self._is_asked_from_proxy and self.proxy and self.proxy.authorization:
            prepared.headers["Proxy-Authorization"] = self.proxy.authorization
        return prepared

    @property
    def request_target(self) -> str:
        """What stands behind the method in the request line."""
        return self.target.url if self._is_asked_from_proxy else self.target.path

    @property
    def _is_asked_from_proxy(self) -> bool:
        return self.proxy is not None and self.target.scheme == "http"

    def refuse_when_late(self) -> None:
        """Nothing was sent yet, so both refusals are safe to try again, for writes too."""
        if self.request.not_after is not None and time.monotonic() >= self.request.not_after:
            raise TransientError("The call was not begun: its time had passed.", code="NOT_AFTER_PASSED")
        try:
            self.call.remaining()
        except TimeoutError as error:
            detail = f"{self.target.host} was connected to only when the call's time was over."
            raise TransientError(detail, code="CONNECT_TIMED_OUT") from error

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Connect within the request's `connect_timeout` and the call's limit, TLS and proxy included.

        Errors: EgressDeniedError, UnreachableError, TlsError, TransientError CONNECT_TIMED_OUT.
        """
        self.call.limit_phase(self.request.connect_timeout)
        try:
            with self.call.headers_expected():
                yield
        except (OSError, http.client.HTTPException) as error:
            raise connect_failure(error, self.target.host) from error
        finally:
            self.call.limit_phase(None)

    def failure(self, error: Exception, status: int | None = None) -> LineshaftError:
        """What `error` means, once sending had begun; `status` is that of the answer when it had come."""
        return talk_failure(error, self.target.host, is_write=self.request.is_write, status=status)
