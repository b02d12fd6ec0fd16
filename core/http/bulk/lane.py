"""One of libcurl's handles: sends one job at a time, to judged addresses only."""

from __future__ import annotations

import socket
from typing import Any

import pycurl

from core.http.bulk.failures import failure_code
from core.http.bulk.messages import BulkResult, Job
from core.http.kept import MAX_IDLE_SECONDS

CONNECT_SECONDS = 10.0
# The name of a busy server is looked up anew at least this often.
MAX_CONNECTION_SECONDS = 300
_RETRY_AFTER = b"retry-after:"


class _Handed(socket.socket):
    """pycurl takes a duplicate of it, so this one is closed as soon as it is let go."""

    def __del__(self) -> None:
        self.close()


class Lane:
    """A handle with its fixed options. Nothing comes from the environment; no redirects, cookies or passwords."""

    def __init__(self, user_agent: str, ca_file: str, schemes: frozenset[str]) -> None:
        self.easy = easy = pycurl.Curl()
        self.job: Job | None = None
        protocols = {"http": pycurl.PROTO_HTTP, "https": pycurl.PROTO_HTTPS}
        easy.setopt(pycurl.PROTOCOLS, sum(protocols[scheme] for scheme in schemes))
        easy.setopt(pycurl.FOLLOWLOCATION, 0)
        easy.setopt(pycurl.PROXY, "")
        easy.setopt(pycurl.NOPROXY, "*")
        easy.setopt(pycurl.PATH_AS_IS, 1)
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        easy.setopt(pycurl.USERAGENT, user_agent)
        easy.setopt(pycurl.CAINFO, ca_file)
        easy.setopt(pycurl.SSL_VERIFYPEER, 1)
        easy.setopt(pycurl.SSL_VERIFYHOST, 2)
        easy.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        easy.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000))
        easy.setopt(pycurl.MAXAGE_CONN, int(MAX_IDLE_SECONDS))
        easy.setopt(pycurl.MAXLIFETIME_CONN, MAX_CONNECTION_SECONDS)
        easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        easy.setopt(pycurl.PREREQFUNCTION, self._may_send)
        easy.setopt(pycurl.HEADERFUNCTION, self._read_header)
        easy.setopt(pycurl.WRITEFUNCTION, self._read_body)

    def load(self, job: Job) -> None:
        """Set the handle up for `job`."""
        job.forget_answer()
        self.job = job
        easy = self.easy
        easy.setopt(pycurl.URL, job.target.url)
        easy.setopt(pycurl.HTTPHEADER, job.lines)
        easy.setopt(pycurl.POSTFIELDS, job.request.body)
        easy.setopt(pycurl.TIMEOUT_MS, max(1, int(job.remaining * 1000)))
        # So that libcurl itself never looks a name up.
        easy.setopt(pycurl.RESOLVE, job.origin.resolve)

    def unload(self, error: int) -> tuple[Job, BulkResult | None]:
        """The job and its result after libcurl ended with `error`, 0 when with none. Without a result a connection had
        to be made for which no lookup was made yet."""
        job, self.job = self.job, None
        assert job is not None
        if error and job.was_refused:
            return job, job.ended(None, "EGRESS_DENIED") if job.addresses else None
        status = int(self.easy.getinfo(pycurl.RESPONSE_CODE)) or None
        if error and not (job.was_cut and error == pycurl.E_WRITE_ERROR):
            return job, job.ended(status, failure_code(self.easy, error))
        return job, job.ended(status, kind=self.easy.getinfo(pycurl.CONTENT_TYPE) or "")

    def close(self) -> None:
        self.job = None
        self.easy.close()

    def _open_socket(self, purpose: int, where: Any) -> Any:
        """A socket for libcurl to connect, when the address was judged: the last word before any packet leaves."""
        family, kind, protocol, address = where
        assert self.job is not None
        if not self.job.may_dial(address[0]):
            self.job.was_refused = True
            return pycurl.SOCKET_BAD
        self.job.was_refused = False
        return _Handed(family, kind, protocol)

    def _may_send(self, *where: Any) -> int:
        """Asked just before the first byte. libcurl counts the time limit from its first step alone: a process that was
        frozen before that would send long after everybody believes the request to be over."""
        assert self.job is not None
        return pycurl.PREREQFUNC_OK if self.job.remaining > 0 else pycurl.PREREQFUNC_ABORT

    def _read_header(self, line: bytes) -> None:
        if line[:12].lower() == _RETRY_AFTER and self.job:
            self.job.retry_after = line[12:].decode("latin-1")

    def _read_body(self, piece: bytes) -> int | None:
        """None takes it; 0 makes libcurl drop the connection."""
        assert self.job is not None
        return None if self.job.take(piece) else 0
