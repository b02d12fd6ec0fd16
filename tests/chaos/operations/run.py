"""The whole of it: start everything, wish, let things die, wait for the end, judge.

    python -m tests.chaos.operations.run [--operations 1000] [--seed 1]

Needs DATABASE_URL and REDIS_URL of servers of its own (`make chaos SUITE=operations` gives them). The last line of standard
output is one JSON object; the exit code is 1 when a bar is not met. What was seen is kept in test-results/operations/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Before anything reads the settings; the processes that are started inherit them.
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8"}
    import django

    django.setup()

from django.db.models import Count
from django_scopes import scope, scopes_disabled

from syncs.models import Operation, Record
from tests.chaos.havoc import Havoc
from tests.chaos.operations import world
from tests.chaos.operations.checker import ENDED, Findings, check
from tests.chaos.operations.drive import Driver
from tests.chaos.operations.faults import Upstream, simulator
from tests.chaos.operations.history import History
from tests.chaos.operations.plan import Form, Planner

if TYPE_CHECKING:
    from connections.models import Connection

FOLDER = Path(__file__).resolve().parents[3] / "test-results" / "operations"
LOOK_SECONDS, TELL_SECONDS = 0.1, 15.0
UNRECONCILABLE = "location"
WORKER = ("manage.py", "worker", "operations", "--concurrency", "2")
# A lease lasts one call of three seconds and this.
ENVIRONMENT = {"CHAOS_LEASE_MARGIN_SECONDS": "2", "LOG_LEVEL": "WARNING"}


@dataclass(frozen=True)
class Size:
    """How much, how fast and how long. `limit_seconds` is for everything up to the last operation's end."""

    operations: int
    per_second: float
    gap_seconds: tuple[float, float]
    limit_seconds: float
    tick: tuple[str, ...]
    min_kills: int
    min_faulted: int


LONG = Size(1000, 6.0, (2.5, 6.5), 420.0, ("manage.py", "tick", "--interval", "0.5"), 20, 200)
# A hint that died with its worker is told again after ten seconds instead of sixty.
SHORT = Size(100, 6.0, (1.5, 4.0), 150.0, ("-m", "tests.chaos.operations.quick_tick"), 3, 20)
WRITES_SPOILT, READS_SPOILT, FREEZE_SECONDS = 0.28, 0.06, 8.0
# When this share of the operations was wished, the broker loses everything.
EMPTY_AT = (0.05, 0.4)


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
        bars = {"kills": self.size.min_kills, "faulted": self.size.min_faulted, "operations": self.size.operations}
        missed = [f"only {self.result[name]} {name}" for name, least in bars.items() if self.result[name] < least]
        return [*self.findings.all(), *missed]


def forms(connection: Connection) -> dict[str, Form]:
    """How each entity is written. The vendor of the purchase orders is left alone."""
    vendor = Record.objects.filter(connection=connection, entity="vendor", deleted_at=None).order_by("remote_id")
    first = vendor.values_list("remote_id", flat=True)[0]
    lines = [{"description": "Mechanical seal", "quantity": "2", "unit_price": "12.50"}]
    ordered = {"vendor": {"remote_id": first}, "lines": lines}
    name, text = ("name", "name"), ("description", "description")
    return {
        "work_order": Form(("title", "title"), text, "OPEN", share=4),
        "purchase_order": Form(
            ("description", "title"), ("notes", "note"), "REQUESTED", ordered, also="number", share=2
        ),
        "inventory_item": Form(name, text, share=2),
        "asset": Form(name, text, "ONLINE", share=2),
        "vendor": Form(name, text),
        "location": Form(name, text, share=2),
    }


def run(size: Size, *, seed: int = 1, say: Any = print) -> Outcome:
    """Run it on the database Django is set up with. Everything that was started is ended."""
    begun = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"processes-{size.operations}.log"
    log.write_bytes(b"")
    with simulator(log, "--small", "--seed", str(seed)) as upstream:
        with scopes_disabled():
            connection = world.make_connection(upstream)
        with scope(workspace=connection.workspace_id):
            history = _under_fire(connection, upstream, size, seed, log, say)
    history.write(FOLDER / f"history-{size.operations}.json")
    findings = check(history, may_need_review=(UNRECONCILABLE,))
    return Outcome(_result(history, findings), findings, time.monotonic() - begun, size)


def _under_fire(connection: Connection, upstream: Upstream, size: Size, seed: int, log: Path, say: Any) -> History:
    world.copy_all(connection)
    known = forms(connection)
    left_alone = [known["purchase_order"].more["vendor"]["remote_id"]]
    planner = Planner(seed, known, world.cards(connection, known), world.existing(connection, known, but=left_alone))
    upstream.spoil(seed, writes=WRITES_SPOILT, reads=READS_SPOILT)
    havoc = Havoc(
        log,
        workers=[WORKER] * 3,
        ticks=[size.tick] * 2,
        seed=seed,
        gap_seconds=size.gap_seconds,
        freeze_seconds=FREEZE_SECONDS,
        env=ENVIRONMENT,
    )
    driver = Driver(connection, planner.plan(size.operations), per_second=size.per_second)
    try:
        havoc.start()
        _drive(driver, planner, havoc, size, say)
        havoc.calm()
    finally:
        driver.close()
        havoc.end()
    if havoc.broken:
        raise havoc.broken
    faults = upstream.control("GET", "faults")["faults"]
    upstream.heal()
    fired = Counter({fault["kind"]: 0 for fault in faults})
    for fault in faults:
        fired[fault["kind"]] += fault["fired"]
    facts = {"harm": dict(havoc.counts), "kills": havoc.kills, "fired": dict(fired), "refused": driver.refused}
    for line in (f"harm: {dict(havoc.counts)}", f"faults: {dict(fired)}", f"refused: {len(driver.refused)}"):
        say(line)
    return world.history(connection, driver.wanted, upstream, facts)


def _drive(driver: Driver, planner: Planner, havoc: Havoc, size: Size, say: Any) -> None:
    """Until as many operations as planned were wished and all of them have ended, or time is up."""
    deadline, told_at, replaced = time.monotonic() + size.limit_seconds, 0.0, 0
    empty_at = [int(size.operations * share) for share in EMPTY_AT]
    while time.monotonic() < deadline:
        for _ in range(driver.dropped - replaced):
            driver.add(planner.one_more())
            replaced += 1
        driver.advance()
        if havoc.broken:
            raise havoc.broken
        if empty_at and len(driver.wanted) >= empty_at[0]:
            empty_at.pop(0)
            havoc.empty_broker()
        counts = _counts(driver.connection)
        if time.monotonic() - told_at > TELL_SECONDS:
            told_at = time.monotonic()
            say(f"{len(driver.wanted)} wished, {counts}, {havoc.kills} kills")
        if len(driver.wanted) >= size.operations and set(counts) <= set(ENDED):
            return
        time.sleep(LOOK_SECONDS)


def _counts(connection: Connection) -> dict[str, int]:
    rows = Operation.objects.filter(connection=connection).values_list("status").annotate(Count("pk")).order_by()
    return dict(rows)


def _result(history: History, findings: Findings) -> dict[str, int]:
    """`faulted`: operations of whose write requests at least one was spoilt."""
    by_marker = {one.marker: one.id for one in history.operations if one.marker}
    by_record = {(one.table, one.record): one.id for one in history.operations if not one.marker}
    spoilt = [entry for entry in history.journal if entry["fault"] and not entry["side_effect"]]
    faulted = set()
    for entry in spoilt:
        text = json.dumps(entry["body"])
        owner = next((by_marker[marker] for marker in by_marker if marker in text), None)
        faulted.add(owner or by_record.get((entry["entity"], str(entry["object_id"]))))
    statuses = Counter(one.status for one in history.operations)
    return {
        "operations": len(history.operations),
        "kills": history.facts["kills"],
        "faulted": len(faulted - {None}),
        "duplicates": len(findings.duplicates),
        "lost": len(findings.lost),
        "unknown_left": len(findings.unfinished),
        "needs_review": statuses["needs_review"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    from django.core.management import call_command

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=LONG.operations)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    share = options.operations / LONG.operations
    bars = {"min_kills": int(LONG.min_kills * share), "min_faulted": int(LONG.min_faulted * share)}
    size = Size(**{**asdict(LONG), **bars, "operations": options.operations})
    call_command("migrate", interactive=False, verbosity=0)
    outcome = run(size, seed=options.seed)
    for problem in outcome.problems:
        print(problem)
    print(f"{outcome.seconds:.0f} s")
    print(json.dumps(outcome.result))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
