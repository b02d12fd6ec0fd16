"""Thousands of requests made from the API's description by schemathesis; not one may be answered by a 5xx."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from tests.fuzz.application import Application, ServerError
from tests.fuzz.steering import Steering
from tests.tenancy.world import World

DESCRIPTION = "application/vnd.oai.openapi+json"
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
"""What is written in the description; what lies at the edges of it; chance; requests that follow from each other."""


@dataclass
class Report:
    """What was sent and what came of it. `undescribed` counts answers that the description does not know."""

    seed: int
    cases: int = 0
    server_errors: list[ServerError] = field(default_factory=list)
    undescribed: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not (self.server_errors or self.troubles or self.undescribed)

    def telling(self) -> str:
        """What somebody who looks into it needs."""
        by_phase = (f"  {phase}: {dict(sorted(counts.items()))}" for phase, counts in self.statuses.items())
        undescribed = (f"{count} times: {what}" for what, count in self.undescribed.most_common(40))
        head = f"seed {self.seed}: {self.cases} cases; statuses by phase:"
        return "\n".join([head, *by_phase, *map(str, self.server_errors[:20]), *self.troubles[:20], *undescribed])

    def last_line(self) -> str:
        return json.dumps({"cases": self.cases, "server_errors": len(self.server_errors), "seed": self.seed})


def fuzz(world: World, *, cases: int, seed: int, seconds: float, phases: tuple[str, ...] = PHASES) -> Report:
    """Send about `cases` requests made by chance (fewer where there is little to vary), and those of the other phases, which
    are more, within `seconds`.

    What they write is undone with the transaction of the world.
    """
    report, app, begun = Report(seed), Application(), time.monotonic()
    with app.running(), _steered(Steering(world, seed)):
        config = SchemathesisConfig.from_dict(_settings(seed, phases))
        schema = schemathesis.openapi.from_wsgi("/api/schema", app, config=config, headers={"Accept": DESCRIPTION})
        # Where there is little to vary an operation gets fewer, hence the tenth.
        each = math.ceil(1.1 * cases / schema.statistic.operations.selected)
        schema.config.phases.fuzzing.generation.max_examples = each
        for event in (stream := from_schema(schema).execute()):
            if isinstance(event, events.PhaseStarted):
                app.phase = str(event.phase.name.value)
                print(f"{app.cases} cases sent in {time.monotonic() - begun:.0f} s; now: {app.phase}", flush=True)
            _note(report, event)
            if time.monotonic() - begun > seconds:
                report.troubles.append(f"The {seconds:.0f} seconds were over before the end.")
                stream.stop()
    report.cases, report.server_errors, report.statuses = app.cases, app.errors, app.statuses
    report.troubles += app.unanswered
    return report


def _settings(seed: int, phases: tuple[str, ...]) -> dict[str, Any]:
    """Without a `max-time`: with one, what is left of it is filled by going through the phases again and again."""
    return {
        "seed": seed,
        "continue-on-failure": True,
        "generation": {"mode": "all", "no-shrink": True, "database": "none"},
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
    }


@contextmanager
def _steered(steering: Steering) -> Iterator[None]:
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        steering.change(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)


def _note(report: Report, event: Any) -> None:
    if isinstance(event, events.NonFatalError):
        report.troubles.append(f"{event.label}: {event.value}")
    if isinstance(event, events.ScenarioFinished):
        for checks in event.recorder.checks.values():
            for failure in (check.failure_info.failure for check in checks if check.failure_info):
                report.undescribed[f"{event.recorder.label}: {failure.title}: {failure.message[:200]}"] += 1
