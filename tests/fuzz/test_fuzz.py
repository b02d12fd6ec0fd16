"""schemathesis against the whole API: no request is answered by a 5xx.

Here a few hundred cases, always the same; `make fuzz CASES=5000` sends thousands, each time others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.application import Application
from tests.fuzz.run import REPORT, Report, fuzz
from tests.tenancy.world import World

WISHES = json.loads(os.environ.get("FUZZ", "null"))


def telling(report: Report) -> str:
    """What somebody who looks into it needs."""
    return "\n".join(
        [
            f"seed {report.seed}: {report.cases} cases, statuses by phase:",
            *(f"  {phase}: {dict(sorted(counts.items()))}" for phase, counts in report.statuses.items()),
            *map(str, report.server_errors[:20]),
            *report.troubles[:20],
            *(f"{count} times: {what}" for what, count in report.undescribed.most_common(40)),
        ]
    )


def passes(report: Report) -> bool:
    return not (report.server_errors or report.troubles or report.undescribed)


def test_no_request_made_from_the_description_is_answered_by_a_5xx(world: World) -> None:
    report = fuzz(world, cases=300, seed=1, seconds=90, phases=("examples", "fuzzing"))
    assert passes(report) and report.cases > 500, telling(report)
    answered = report.statuses["examples"] + report.statuses["fuzzing"]
    assert sum(answered[status] for status in (200, 201, 202)) > 0.2 * report.cases, "it came to no depth"


@pytest.mark.skipif(WISHES is None, reason="this one is `make fuzz`")
def test_as_many_as_were_wished(world: World) -> None:
    report = fuzz(world, **WISHES)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report.last_line() + "\n")
    print(telling(report))
    assert passes(report) and report.cases >= WISHES["cases"], telling(report)
