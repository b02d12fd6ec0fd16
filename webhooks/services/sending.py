"""Delivering: claim, send many at once, write what came of it, until nothing is due.

No transaction is open while requests are under way. A worker that is killed leaves claims that fall due again; one that
was frozen sends nothing after its claim ended, and what it writes too late is left out.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from uuid import UUID

from django.conf import settings
from django_scopes import scopes_disabled

from core import hints
from core.http.bulk import BulkDoor, BulkResult
from core.http.policy import webhook_policy, webhook_policy_in_test
from core.redaction import redact_text
from webhooks.services.claiming import TIMEOUT_SECONDS, Claimed, claim_batch, something_is_due
from webhooks.services.hinting import QUEUE, TASK
from webhooks.services.judging import Outcome
from webhooks.services.outcomes import write_outcomes
from webhooks.services.preparing import prepare, signing_secrets
from webhooks.services.seats import seat
from workspaces.choices import Environment

DRAIN_SECONDS = 20.0
IN_FLIGHT = 256
CLAIM_EVERY_SECONDS = 0.1  # while nothing was due
GATHER_SECONDS = 0.003  # results that come together are written together
BATCH = 100


class Doors:
    """A bulk door for each environment, since only `test` may be told over http. For one thread."""

    def __init__(self) -> None:
        self.allowed = tuple(settings.EGRESS_ALLOWED_NETWORKS)
        self._doors = {
            Environment.LIVE.value: BulkDoor(webhook_policy(), max_in_flight=IN_FLIGHT),
            Environment.TEST.value: BulkDoor(webhook_policy_in_test(self.allowed), max_in_flight=IN_FLIGHT),
        }

    def of(self, environment: str) -> BulkDoor:
        return self._doors[environment]

    @property
    def in_flight(self) -> int:
        return sum(door.in_flight for door in self._doors.values())

    def finished(self, wait_seconds: float) -> list[BulkResult]:
        """Results of both. While both are busy each is waited for in turn."""
        busy = [door for door in self._doors.values() if door.in_flight]
        wait = wait_seconds if len(busy) < 2 else min(wait_seconds, 2 * GATHER_SECONDS) / 2
        return [result for door in self._doors.values() for result in door.finished(wait if door in busy else 0.0)]

    def close(self) -> None:
        for door in self._doors.values():
            door.close()


_own = threading.local()


def _kept_doors() -> Doors:
    """Those of this thread, whose connections outlast a drain."""
    doors: Doors | None = getattr(_own, "doors", None)
    if doors is not None and doors.allowed != tuple(settings.EGRESS_ALLOWED_NETWORKS):
        close_kept_doors()
        doors = None
    if doors is None:
        doors = _own.doors = Doors()
    return doors


def close_kept_doors() -> None:
    """Close this thread's doors, with whatever is under way."""
    doors: Doors | None = _own.__dict__.pop("doors", None)
    if doors is not None:
        doors.close()


def drain(*, seconds: float = DRAIN_SECONDS) -> int:
    """Deliver what is due until nothing is, or time is up; then another worker is told. Answers how many attempts were made.

    Does nothing while enough workers deliver already.
    """
    with scopes_disabled(), seat() as is_seated:
        if not is_seated:
            return 0
        try:
            attempts = _Drain(_kept_doors(), until=time.monotonic() + seconds).run()
        except BaseException:
            close_kept_doors()  # what is under way belongs to nobody any more
            raise
    waiting = something_is_due()
    if attempts and waiting is not None:
        hints.publish(TASK, waiting, queue=QUEUE)
    return attempts


class _Drain:
    """One worker's turn."""

    def __init__(self, doors: Doors, *, until: float) -> None:
        self._doors = doors
        self._until = until
        self._under_way: dict[UUID, tuple[Claimed, int]] = {}
        self._outcomes: list[Outcome] = []
        self._claim_at = 0.0
        self._attempts = 0

    def run(self) -> int:
        while True:
            claimed = self._claim()
            if not claimed and not self._under_way and not self._outcomes:
                return self._attempts
            self._gather(0.0 if claimed and not self._under_way else CLAIM_EVERY_SECONDS)
            self._write()

    def _claim(self) -> int:
        """Take what is due and begin to send it."""
        began = time.monotonic()
        free = IN_FLIGHT - len(self._under_way)
        if began >= self._until or began < self._claim_at or not free:
            return 0
        mine = Counter(claimed.endpoint_id for claimed, _ in self._under_way.values())
        claims = claim_batch(min(free, BATCH), mine)
        # The next look is at once while there is more, or when something ended.
        self._claim_at = 0.0 if claims else began + CLAIM_EVERY_SECONDS
        secrets = signing_secrets(claimed.endpoint_id for claimed in claims) if claims else {}
        for claimed in claims:
            prepared = prepare(claimed, secrets)
            if isinstance(prepared, Outcome):
                self._outcomes.append(prepared)
            elif time.monotonic() + TIMEOUT_SECONDS < claimed.not_after:
                request, signed_with = prepared
                self._under_way[claimed.id] = claimed, signed_with
                self._doors.of(claimed.environment).submit(request)
        return len(claims)

    def _gather(self, wait_seconds: float) -> None:
        """What ended, and what ends right behind it."""
        results = self._doors.finished(wait_seconds)
        if results and self._under_way and len(results) < BATCH:
            results += self._doors.finished(GATHER_SECONDS)
        self._outcomes += [self._outcome_of(result) for result in results]

    def _outcome_of(self, result: BulkResult) -> Outcome:
        assert isinstance(result.key, UUID)
        claimed, signed_with = self._under_way.pop(result.key)
        code = result.error_code
        if not code and not result.is_taken:
            code = f"HTTP_{result.status}"
        return Outcome(
            claimed,
            status_code=result.status,
            error_code=code,
            elapsed_ms=result.elapsed_ms,
            answer=redact_text(result.answer_excerpt.replace("\x00", "")),
            retry_after=result.retry_after,
            signed_with=signed_with,
        )

    def _write(self) -> None:
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, []
            write_outcomes(outcomes)
            self._attempts += len(outcomes)
            self._claim_at = 0.0
