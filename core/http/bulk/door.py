"""The bulk door itself: requests in, results out."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Self

import certifi

from core.errors import BugError, LineshaftError
from core.http.bulk.lane import Lane
from core.http.bulk.messages import BulkRequest, BulkResult, Job, Origin
from core.http.bulk.poll import Poll
from core.http.messages import USER_AGENT
from core.http.policy import EgressPolicy
from core.http.resolver import is_literal, resolve_allowed
from core.http.urls import Target, parse_target

# More servers than are called within a few seconds; those that were not are forgotten beyond it.
MAX_ORIGINS = 1024
Origins = dict[tuple[str, str, int], Origin]


class BulkDoor:
    """Sends up to `max_in_flight` requests at once under one policy, keeping connections open between them.

    For one thread, and nothing moves but inside `finished`: what came in meanwhile waits in the sockets. Redirects are
    not followed; of an answer at most 64 KiB are read, then its connection is dropped. Nothing comes from the
    environment. `ca_file` holds the authorities that are trusted, as PEM.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        max_in_flight: int = 64,
        user_agent: str = USER_AGENT,
        ca_file: str | None = None,
    ) -> None:
        self.policy = policy
        self._max_in_flight = max_in_flight
        self._poll = Poll(max_in_flight)
        self._user_agent, self._ca_file = user_agent, ca_file or certifi.where()
        self._lanes: list[Lane] = []
        self._idle: list[Lane] = []
        self._origins: Origins = {}
        self._looked_up: SimpleQueue[tuple[Origin, tuple[str, ...] | LineshaftError]] = SimpleQueue()
        self._in_flight = 0
        self._done: list[BulkResult] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def free_slots(self) -> int:
        """How many more requests may be submitted now."""
        return self._max_in_flight - self._in_flight

    @property
    def in_flight(self) -> int:
        """How many requests have no result yet."""
        return self._in_flight

    def submit(self, request: BulkRequest) -> None:
        """Begin a request; its result comes from `finished`, also when it is refused right here.

        Errors: BugError when no slot is free.
        """
        if self._in_flight >= self._max_in_flight:
            raise BugError(f"The bulk door has no free slot: {self._max_in_flight} requests are in flight.")
        try:
            target = _target(request.url)
            self.policy.check_scheme(target.scheme, target.host)
            job = Job(request, target, request.header_lines(), self._origin(target))
        except LineshaftError as error:
            self._done.append(BulkResult(request.key, None, error.code, 0.0))
            return
        self._in_flight += 1
        if job.origin.kept_until > time.monotonic():
            self._begin(job)
        else:
            self._look_up(job)

    def finished(self, wait_seconds: float) -> list[BulkResult]:
        """The results that came since the last call; waits at most so long for the first one.

        Returns at once when nothing is in flight.
        """
        until = time.monotonic() + wait_seconds
        self._step(0.0)
        while not self._done and self._in_flight and (left := until - time.monotonic()) > 0:
            self._step(left)
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Drop what is in flight and close every connection. The door cannot be used again."""
        for lane in self._lanes:
            if lane.job is not None:
                self._poll.remove(lane)
            lane.close()
        self._poll.close()
        self._lanes, self._idle, self._in_flight = [], [], 0

    def _step(self, wait_seconds: float) -> None:
        self._poll.step(wait_seconds)
        for lane, error in self._poll.ended():
            self._poll.remove(lane)
            job, result = lane.unload(error)
            self._idle.append(lane)
            if result is None:
                self._look_up(job)
            else:
                self._end(result)
        self._begin_looked_up()

    def _end(self, result: BulkResult) -> None:
        self._in_flight -= 1
        self._done.append(result)

    def _begin(self, job: Job) -> None:
        """Hand a job to libcurl. Before a lookup was made for it, only an open connection will do."""
        if not self._idle:
            self._lanes.append(Lane(self._user_agent, self._ca_file, self.policy.schemes))
            self._idle.append(self._lanes[-1])
        lane = self._idle.pop()
        lane.load(job)
        self._poll.add(lane)

    # --- names --------------------------------------------------------------------------------------------------------

    def _origin(self, target: Target) -> Origin:
        found = self._origins.get(target.origin)
        if found is None:
            if len(self._origins) >= MAX_ORIGINS:
                self._origins = {key: origin for key, origin in self._origins.items() if not origin.is_idle}
            found = self._origins[target.origin] = Origin(target.host, target.port)
        return found

    def _look_up(self, job: Job) -> None:
        """Let the resolver judge the job's host; jobs to the same server share one lookup."""
        origin = job.origin
        origin.kept_until = 0.0
        origin.waiting.append(job)
        if len(origin.waiting) > 1:
            return
        if is_literal(origin.host):
            self._resolve(origin, job.remaining)
        else:
            # getaddrinfo blocks; the resolver bounds how many of them hang at once.
            threading.Thread(
                target=self._resolve, args=(origin, job.remaining), name="bulk-lookup", daemon=True
            ).start()

    def _resolve(self, origin: Origin, seconds: float) -> None:
        try:
            answer: tuple[str, ...] | LineshaftError
            answer = resolve_allowed(self.policy, origin.host, origin.port, max(0.0, seconds))
        except LineshaftError as error:
            answer = error
        self._looked_up.put((origin, answer))
        self._poll.wake()

    def _begin_looked_up(self) -> None:
        while True:
            try:
                origin, answer = self._looked_up.get_nowait()
            except Empty:
                return
            waiting, origin.waiting = origin.waiting, []
            if not isinstance(answer, LineshaftError):
                origin.found(answer)
            for job in waiting:
                if isinstance(answer, LineshaftError):
                    self._end(job.ended(None, answer.code))
                else:
                    job.addresses = origin.addresses
                    self._begin(job)


@lru_cache(maxsize=1024)
def _target(url: str) -> Target:
    return parse_target(url)
