"""What an attempt means for its delivery and its endpoint: rules without a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.services.claiming import Claimed
from webhooks.services.schedule import DISABLED_AFTER_SECONDS, probe_seconds, seconds_after_failure

GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `status_code` is None when no answer came; `error_code` is empty when it was taken.

    `retry_after` in seconds. `is_ours`: nothing left the platform, so it says nothing about the endpoint.
    `is_void`: nothing is left to tell.
    """

    claimed: Claimed
    status_code: int | None = None
    error_code: str = ""
    elapsed_ms: float = 0.0
    answer: str = ""
    retry_after: float | None = None
    signed_with: int = 1
    is_ours: bool = False
    is_void: bool = False

    @property
    def is_taken(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300 and not self.error_code


@dataclass(frozen=True)
class Verdict:
    """Where the delivery stands now. `wait_seconds` until the next attempt, None when there is none."""

    status: DeliveryStatus
    wait_seconds: float | None = None


@dataclass
class Standing:
    """What is counted of an endpoint."""

    status: str
    failures_in_row: int = 0
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    probe_at: datetime | None = None
    disabled_reason: str = ""
    disabled_at: datetime | None = None

    def count(self, outcome: Outcome, at: datetime) -> None:
        """One attempt more, ended at this time. A failure of one made by hand is not held against the endpoint."""
        if outcome.is_ours or outcome.is_void:
            return
        if outcome.is_taken:
            self.failures_in_row, self.failing_since, self.probe_at = 0, None, None
            self.last_success_at = at
            return
        self.last_failure_at = at
        if outcome.status_code == GONE:
            self._disable("It answered 410 Gone.", at)
        if outcome.claimed.is_manual:
            return
        self.failures_in_row += 1
        self.failing_since = self.failing_since or at
        wait = probe_seconds(self.failures_in_row)
        self.probe_at = at + timedelta(seconds=wait) if wait else None
        if at - self.failing_since > timedelta(seconds=DISABLED_AFTER_SECONDS):
            self._disable(f"Every attempt failed for {DISABLED_AFTER_SECONDS // 86_400} days.", at)

    def _disable(self, reason: str, at: datetime) -> None:
        """Only one that is active: what a person paused stays paused."""
        if self.status == EndpointStatus.ACTIVE:
            self.status, self.disabled_reason, self.disabled_at = EndpointStatus.DISABLED, reason, at


def judge(outcome: Outcome) -> Verdict:
    """The delivery's next state. One made by hand has a single attempt."""
    if outcome.is_void:
        return Verdict(DeliveryStatus.CANCELLED)
    if outcome.is_taken:
        return Verdict(DeliveryStatus.DELIVERED)
    claimed = outcome.claimed
    wait = seconds_after_failure(
        claimed.attempts + 1, claimed.id, status=outcome.status_code, retry_after=outcome.retry_after
    )
    if wait is None or claimed.is_manual:
        return Verdict(DeliveryStatus.EXHAUSTED)
    return Verdict(DeliveryStatus.PENDING, wait)
