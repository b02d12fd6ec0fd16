"""The whole of it: start runs, let things die, wait for the end, judge.

    python -m tests.chaos.flows.run [--runs 500] [--seed 1]

Needs DATABASE_URL and REDIS_URL of servers of its own (`make chaos SUITE=flows` gives them; the Redis is emptied). The last
line of standard output is one JSON object; the exit code is 1 when a bar is not met. What the processes said is kept in
test-results/flows/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Before anything reads the settings; the processes that are started inherit them.
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8"}
    import django

    django.setup()

from django.db.models import Count
from django_scopes import scope, scopes_disabled

from flows.choices import ENDED, TriggerKind
from flows.models import Flow, FlowRun
from flows.services.starting import run_by_hand
from tests.chaos.flows.checker import Findings, check
from tests.chaos.flows.world import ITEMS, make_flow
from tests.chaos.havoc import Havoc
from tests.chaos.operations.faults import simulator
from tests.chaos.operations.world import copy_all, make_connection

FOLDER = Path(__file__).resolve().parents[3] / "test-results" / "flows"
LOOK_SECONDS, TELL_SECONDS = 0.1, 15.0
FREEZE_SECONDS = 8.0
FLOW_WORKER = ("manage.py", "worker", "flows", "--concurrency", "2")
OPERATION_WORKER = ("manage.py", "worker", "operations", "--concurrency", "2")
# A lease lasts one call and this.
ENVIRONMENT = {"CHAOS_LEASE_MARGIN_SECONDS": "2", "LOG_LEVEL": "WARNING"}
# When this share of the runs was started, the broker loses everything.
EMPTY_AT = (0.1, 0.5)


@dataclass(frozen=True)
class Size:
    """How much, how fast and how long. `limit_seconds` is for everything up to the last run's end."""

    runs: int
    per_second: float
    gap_seconds: tuple[float, float]
    limit_seconds: float
    tick: tuple[str, ...]
    min_kills: int


LONG = Size(500, 2.5, (4.0, 9.0), 900.0, ("manage.py", "tick", "--interval", "0.5"), 20)
# A hint that died with its worker is told again after ten seconds instead of sixty.
SHORT = Size(30, 2.0, (1.5, 3.0), 120.0, ("-m", "tests.chaos.operations.quick_tick"), 3)


@dataclass(frozen=True)
class Outcome:
    """What the last line tells, what was found wrong, and how long it took."""

    result: dict[str, int]
    findings: Findings
    seconds: float
    size: Size

    @property
    def problems(self) -> list[str]:
        """Everything that keeps this run from being a good one."""
        few = [f"only {self.result['kills']} kills"] if self.result["kills"] < self.size.min_kills else []
        return [*self.findings.all(), *few]


def run(size: Size, *, seed: int = 1, say: Any = print) -> Outcome:
    """Run it on the database Django is set up with. Everything that was started is ended."""
    begun = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"processes-{size.runs}.log"
    log.write_bytes(b"")
    with simulator(log, "--small", "--seed", str(seed)) as upstream:
        with scopes_disabled():
            connection = make_connection(upstream)
        with scope(workspace=connection.workspace_id):
            copy_all(connection)
            flow = make_flow(connection)
            started, kills = _under_fire(flow, size, seed, log, say)
            runs = {mark: FlowRun.objects.get(pk=pk) for mark, pk in started.items()}
            findings = check(runs, upstream.journal())
    result = {"runs": len(runs), "kills": kills, "doubled": len(findings.doubled), "lost": len(findings.lost)}
    return Outcome(result, findings, time.monotonic() - begun, size)


def _under_fire(flow: Flow, size: Size, seed: int, log: Path, say: Any) -> tuple[dict[str, Any], int]:
    havoc = Havoc(
        log,
        workers=[FLOW_WORKER, FLOW_WORKER, OPERATION_WORKER, OPERATION_WORKER],
        ticks=[size.tick] * 2,
        seed=seed,
        gap_seconds=size.gap_seconds,
        freeze_seconds=FREEZE_SECONDS,
        env=ENVIRONMENT,
    )
    try:
        havoc.start()
        started = _drive(flow, size, seed, havoc, say)
        havoc.calm()
    finally:
        havoc.end()
    if havoc.broken:
        raise havoc.broken
    say(f"harm: {dict(havoc.counts)}")
    return started, havoc.kills


def _drive(flow: Flow, size: Size, seed: int, havoc: Havoc, say: Any) -> dict[str, Any]:
    """Start runs at an even pace until there are enough, and go on until all have ended or time is up. Mark -> run."""
    begun, told_at = time.monotonic(), 0.0
    started: dict[str, Any] = {}
    empty_at = [int(size.runs * share) for share in EMPTY_AT]
    while time.monotonic() - begun < size.limit_seconds:
        due = min(size.runs, int((time.monotonic() - begun) * size.per_second))
        while len(started) < due:
            mark = f"chaos-{seed}-{len(started) + 1:05}"
            body = {"mark": mark, "items": list(ITEMS)}
            started[mark] = run_by_hand(flow, body, by="chaos", kind=TriggerKind.API, key=mark).run.pk
        if havoc.broken:
            raise havoc.broken
        if empty_at and len(started) >= empty_at[0]:
            empty_at.pop(0)
            havoc.empty_broker()
        counts = dict(FlowRun.objects.filter(flow=flow).values_list("status").annotate(Count("pk")).order_by())
        if time.monotonic() - told_at > TELL_SECONDS:
            told_at = time.monotonic()
            say(f"{len(started)} started, {counts}, {havoc.kills} kills")
        if len(started) >= size.runs and set(counts) <= set(ENDED) and havoc.kills >= size.min_kills:
            break
        time.sleep(LOOK_SECONDS)
    return started


def main(arguments: Sequence[str] | None = None) -> int:
    from django.core.management import call_command

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=LONG.runs)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    bars = {"min_kills": int(LONG.min_kills * options.runs / LONG.runs)}
    size = Size(**{**asdict(LONG), **bars, "runs": options.runs})
    call_command("migrate", interactive=False, verbosity=0)
    outcome = run(size, seed=options.seed)
    for problem in outcome.problems:
        print(problem)
    print(f"{outcome.seconds:.0f} s")
    print(json.dumps(outcome.result))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
