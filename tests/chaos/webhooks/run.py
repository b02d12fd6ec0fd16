"""The whole of it: start everything, let things happen while workers die, wait for the end, judge.

    python -m tests.chaos.webhooks.run [--events 10000] [--seed 1]

Needs DATABASE_URL and REDIS_URL of servers of its own (`make chaos SUITE=webhooks` gives them; the Redis is emptied). The
last line of standard output is one JSON object; the exit code is 1 when a bar is not met. What was heard is kept in
test-results/webhooks-<events>/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Before anything reads the settings; the processes that are started inherit them.
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8"}
    import django

    django.setup()

from django.db import connection, transaction
from django_scopes import scope, scopes_disabled

from core import ids
from tests.chaos.havoc import Havoc
from tests.chaos.webhooks.world import HEALTHY, Listeners, listening
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services import clock, recover
from workspaces.choices import EventType
from workspaces.events import emit
from workspaces.models import Workspace

RESULTS = Path(__file__).resolve().parents[3] / "test-results"
LOOK_SECONDS, TELL_SECONDS = 0.2, 10.0
# When this share of the events was emitted, the broker loses everything.
EMPTY_AT = (0.2, 0.6)
EMIT_AT_ONCE = 5
LATE_SECONDS = 5.0
WORKER = ("manage.py", "worker", "events", "--concurrency", "1")
TICK = ("manage.py", "tick", "--interval", "0.5")


@dataclass(frozen=True)
class Size:
    """How much, how fast and how long; `claim` is the time limit of a call and what a claim lasts beyond it, seconds."""

    events: int
    per_second: float
    gap_seconds: tuple[float, float]
    freeze_seconds: float
    claim: tuple[float, float]
    min_kills: int
    limit_seconds: float


LONG = Size(10_000, 100.0, (2.0, 7.0), 50.0, (15.0, 30.0), 10, 240.0)
SHORT = Size(500, 60.0, (1.2, 2.0), 6.0, (3.0, 2.0), 3, 45.0)


@dataclass(frozen=True)
class Outcome:
    """What the last line tells, what was found wrong, and how long it took."""

    result: dict[str, Any]
    problems: list[str]
    seconds: float


def run(size: Size, *, seed: int = 1, say: Any = print) -> Outcome:
    """Run it on the database Django is set up with. Everything that was started is ended."""
    begun = time.monotonic()
    folder = RESULTS / f"webhooks-{size.events}"
    with scopes_disabled(), listening(folder) as listeners:
        workspace = Workspace(name="Chaos", slug=f"chaos-{listeners.ports['slow']}")
        workspace.save(force_insert=True)
        told = _Run(size, workspace, listeners, say)
        timeout, margin = size.claim
        havoc = Havoc(
            folder / "processes.log",
            workers=[WORKER] * 3,
            ticks=[TICK] * 2,
            seed=seed,
            gap_seconds=size.gap_seconds,
            freeze_seconds=size.freeze_seconds,
            env={
                "CHAOS_WEBHOOK_TIMEOUT_SECONDS": str(timeout),
                "CHAOS_WEBHOOK_MARGIN_SECONDS": str(margin),
                "LOG_LEVEL": "WARNING",
            },
        )
        try:
            told.under_fire(havoc)
            told.afterwards()
        finally:
            havoc.end()
    return Outcome(told.result(havoc), told.problems, time.monotonic() - begun)


class _Run:
    """One run and what is wrong with it."""

    def __init__(self, size: Size, workspace: Workspace, listeners: Listeners, say: Any) -> None:
        self.size, self.workspace, self.listeners, self.say = size, workspace, listeners, say
        self.endpoints = listeners.endpoints(workspace)
        self.committed: dict[str, float] = {}
        self.problems: list[str] = []

    def under_fire(self, havoc: Havoc) -> None:
        """Emit everything while processes come to harm, and go on until the healthy ones were told all of it."""
        self._wait_for_workers()
        havoc.start()
        self._emit_all(havoc)
        while havoc.kills < self.size.min_kills and not havoc.broken:
            time.sleep(LOOK_SECONDS)
        havoc.calm()
        if havoc.broken:
            raise havoc.broken
        wait = sum(self.size.claim) + 15
        self._until(lambda: not self._missing(), wait, "the healthy endpoints were not told everything")
        self.say(f"harm: {dict(havoc.counts)}")

    def afterwards(self) -> None:
        """With every endpoint good again, what is due goes out by itself, and the rest when it is recovered."""
        rest = {name: self._pending(endpoint) for name, endpoint in self.endpoints.items()}
        self.say(f"pending before the endpoints were mended: {rest}")
        self.listeners.heal()
        self._until(lambda: not self._in_limbo(), self.size.limit_seconds, "deliveries are due and nobody sends them")
        for endpoint in self.endpoints.values():
            with scope(workspace=self.workspace.pk):
                recover(endpoint, since=self.workspace.created_at, by="chaos")
        self._until(lambda: not self._pending(), self.size.limit_seconds, "deliveries stay pending")
        for name in self.endpoints:
            self._check(name)

    def result(self, havoc: Havoc) -> dict[str, Any]:
        waits = []
        for name in HEALTHY:
            first: dict[str, float] = {}
            for heard in self.listeners.heard(name):
                first.setdefault(heard.header_id, heard.at)
            waits += [first[shown] - at for shown, at in self.committed.items() if shown in first]
        p95 = sorted(waits)[int(len(waits) * 0.95)] if waits else float("inf")
        if p95 > LATE_SECONDS:
            self.problems.append(f"a healthy endpoint waits {p95:.1f} s")
        if havoc.kills < self.size.min_kills:
            self.problems.append(f"only {havoc.kills} kills")
        missed = len(self._missing())
        return {"events": len(self.committed), "kills": havoc.kills, "missed": missed, "healthy_p95_s": round(p95, 3)}

    # --- while it runs ------------------------------------------------------------------------------------------------

    def _wait_for_workers(self) -> None:
        """An event of its own goes round before the clock starts; starting is not what is measured."""
        event = self._emit(1)[0]
        self._until(lambda: self._has_heard(event), 60, "no worker came up")

    def _has_heard(self, event: str) -> bool:
        return all(event in {heard.header_id for heard in self.listeners.heard(name)} for name in HEALTHY)

    def _emit_all(self, havoc: Havoc) -> None:
        begun, told_at = time.monotonic(), 0.0
        empty_at = [int(self.size.events * share) for share in EMPTY_AT]
        while len(self.committed) < self.size.events:
            due = int((time.monotonic() - begun) * self.size.per_second) - len(self.committed)
            if due < EMIT_AT_ONCE:
                time.sleep(0.01)
                continue
            shown = self._emit(min(EMIT_AT_ONCE, self.size.events - len(self.committed)))
            self.committed |= dict.fromkeys(shown, time.time())
            if empty_at and len(self.committed) >= empty_at[0]:
                empty_at.pop(0)
                havoc.empty_broker()
            if time.monotonic() - told_at > TELL_SECONDS:
                told_at = time.monotonic()
                self.say(f"{len(self.committed)} events, {havoc.kills} kills, {self._pending()} pending")

    def _emit(self, count: int) -> list[str]:
        """Events in one transaction; their ids."""
        with transaction.atomic():
            made = [
                emit(EventType.SYNC_COMPLETED, workspace_id=self.workspace.pk, environment="test", data={"number": one})
                for one in range(count)
            ]
        return [str(ids.show("evt", event)) for event in made]

    def _until(self, condition: Any, seconds: float, problem: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.problems.append(problem)
                return
            time.sleep(LOOK_SECONDS)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _missing(self) -> set[tuple[str, str]]:
        """Event and healthy endpoint that never met."""
        heard = {name: {one.header_id for one in self.listeners.heard(name)} for name in HEALTHY}
        return {(name, shown) for name in HEALTHY for shown in self.committed if shown not in heard[name]}

    def _pending(self, endpoint: WebhookEndpoint | None = None) -> int:
        rows = Delivery.objects.filter(workspace=self.workspace, status="pending")
        return (rows if endpoint is None else rows.filter(endpoint=endpoint)).count()

    def _in_limbo(self) -> int:
        """Due, or claimed and never settled, at an endpoint that does not wait for the time of its probe."""
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT count(*) FROM webhooks_delivery d JOIN webhooks_webhookendpoint e ON e.id = d.endpoint_id
                WHERE d.workspace_id = %(workspace)s AND d.status = 'pending'
                    AND (d.due_at IS NULL OR d.due_at <= %(at)s OR d.lease_until IS NOT NULL)
                    AND (e.probe_at IS NULL OR e.probe_at <= %(at)s)""",
                {"workspace": self.workspace.pk, "at": clock.now()},
            )
            return int(cursor.fetchone()[0])

    def _check(self, name: str) -> None:
        """In the end everybody was told everything, each event under its own id."""
        heard = self.listeners.heard(name)
        if any(one.header_id != one.body_id for one in heard):
            self.problems.append(f"{name} heard an event under another's id")
        taken = {one.header_id for one in heard if one.status < 300}
        if lacking := set(self.committed) - taken:
            self.problems.append(f"{name} never took {len(lacking)} events")
        self.say(f"{name}: {len(heard)} messages, {len(heard) - len({one.header_id for one in heard})} of them again")


def main(arguments: Sequence[str] | None = None) -> int:
    from django.core.management import call_command

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=LONG.events)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    size = Size(**{**vars(LONG), "events": options.events})
    call_command("migrate", interactive=False, verbosity=0)
    outcome = run(size, seed=options.seed)
    for problem in outcome.problems:
        print(problem)
    print(f"{outcome.seconds:.0f} s")
    print(json.dumps(outcome.result))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
