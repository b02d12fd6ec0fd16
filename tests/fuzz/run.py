"""Thousands of requests made from the API's description; not one may be answered by a 5xx.

python -m tests.fuzz.run --cases 5000 [--seed 1] [--seconds 1800]

The last line tells how it went: {"cases": 5012, "server_errors": 0, "seed": 1}. The same seed sends the same.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.fuzz.application import Application, ServerError
from tests.fuzz.steering import Steering
from tests.tenancy.world import World

DESCRIPTION = "application/vnd.oai.openapi+json"
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
COVERAGE_CASES = 0.4
"""How much of the whole the systematic cases may be, those at the edges of what the description allows."""


@dataclass
class Report:
    """What was sent and what came of it. `undescribed` holds answers that the description does not know."""

    seed: int
    cases: int = 0
    server_errors: list[ServerError] = field(default_factory=list)
    undescribed: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def last_line(self) -> str:
        return json.dumps({"cases": self.cases, "server_errors": len(self.server_errors), "seed": self.seed})


def fuzz(world: World, *, cases: int, seed: int, seconds: float, phases: tuple[str, ...] = PHASES) -> Report:
    """Send about `cases` requests, at the most for `seconds`. What they write is undone with the world's transaction."""
    app, report = Application(), Report(seed)
    schema = schemathesis.openapi.from_wsgi("/api/schema", app, config=_config(seed, 1, seconds, phases))
    schema.hook(Steering(world, seed).before_call)
    operations = schema.statistic.operations.selected
    schema.config.phases.fuzzing.generation.max_examples = max(1, round(cases / operations))
    stream = from_schema(schema).execute()
    for event in stream:
        if isinstance(event, events.PhaseStarted):
            app.keeps = event.phase.name.value == "stateful"
        if isinstance(event, events.ScenarioFinished):
            _note_undescribed(report, event)
        if isinstance(event, events.NonFatalError):
            report.troubles.append(f"{event.label}: {event.value}")
        if app.cases >= cases:
            stream.stop()
    report.cases, report.server_errors, report.statuses = app.cases, app.errors, dict(app.statuses)
    report.troubles += app.unanswered
    return report
