"""Thousands of hostile expressions of flows: each ends in a value or a clear error, soon, and in little memory.

python -m tests.fuzz.expressions --cases 10000 [--seed 1]

The last line tells how it went: {"cases": 10000, "worse": 0, "slow": 12, "peak_mb": 180, "seed": 1}. `worse` counts what is
neither, and `slow` the cases that were stopped by the clock. The same seed makes the same cases.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from core.errors import ValidationFailedError
from flows.expressions import ExpressionError, check_expression, matches, render
from flows.expressions.evaluating import MAX_RESULT
from tests.fuzz.hostile_expressions import Cases
from tests.helper_processes import MOST_BYTES, Watch

CODES = {
    "EXPRESSION_FAILED",
    "EXPRESSION_TOO_SLOW",
    "EXPRESSION_TOO_LARGE",
    "CONTEXT_TOO_LARGE",
    "EXPRESSION_INVALID",
    "EXPRESSION_TOO_LONG",
    "EXPRESSION_TOO_DEEP",
    "EXPRESSION_FUNCTION",
}
OF_SAVING = {"EXPRESSION_INVALID", "EXPRESSION_TOO_LONG", "EXPRESSION_TOO_DEEP", "EXPRESSION_FUNCTION"}
# One second, the start of a new helper, and a machine with other work.
SOON_SECONDS = 5.0
PROBE_EVERY = 25


@dataclass
class Report:
    """What came of the cases; `worse` tells of each that ended in no value and no clear error."""

    seed: int
    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    worse: list[str] = field(default_factory=list)
    peak_bytes: int = 0

    def telling(self) -> str:
        return "\n".join([f"seed {self.seed}: {self.cases} cases: {dict(self.ends.most_common())}", *self.worse[:20]])

    def last_line(self) -> str:
        counts = {"cases": self.cases, "worse": len(self.worse), "slow": self.ends["EXPRESSION_TOO_SLOW"]}
        return json.dumps({**counts, "peak_mb": round(self.peak_bytes / 2**20), "seed": self.seed})


def fuzz(*, cases: int, seed: int) -> Report:
    """Try so many cases, one after the other."""
    report, watch = Report(seed), Watch()
    watch.start()
    try:
        with warnings.catch_warnings():
            # jmespath warns of `text` without quotes.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            for number, (expression, context) in enumerate(Cases(seed).made(cases)):
                _try(report, expression, context, f"case {number}")
                if number % PROBE_EVERY == 0:
                    _probe(report, f"after case {number}")
    finally:
        watch.end()
    report.peak_bytes = watch.most
    if not 0 < watch.most < MOST_BYTES:
        report.worse.append(f"a helper had {watch.most} bytes")
    return report


def _try(report: Report, expression: str, context: Any, name: str) -> None:
    report.cases += 1
    begun = time.monotonic()
    try:
        end = _end_of(expression, context)
    except Exception as error:
        end = f"{type(error).__name__}: {error}"
    took = time.monotonic() - begun
    report.ends[end if end in CODES or end == "value" else "worse"] += 1
    if (end != "value" and end not in CODES) or took > SOON_SECONDS:
        report.worse.append(f"{name}: {end[:300]} after {took:.1f} s: {expression!r}")


def _end_of(expression: str, context: Any) -> str:
    """`value`, a code, or what is wrong."""
    refused = _refusal(expression)
    try:
        written = json.dumps(
            render({"$": expression}, context), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except ExpressionError as error:
        error.detail.encode()
        if refused is not None and error.code not in (refused, "CONTEXT_TOO_LARGE", "EXPRESSION_FAILED"):
            return f"refused with {refused} when it is saved, with {error.code} when it is evaluated"
        return error.code if refused or error.code not in OF_SAVING else "accepted when it is saved, refused later"
    if refused:
        return f"refused with {refused} when it is saved, evaluated nevertheless"
    written.encode()
    return (
        "value" if len(written) <= MAX_RESULT and "\\u0000" not in written else "a value that is too large, or has NUL"
    )


def _refusal(expression: str) -> str | None:
    try:
        check_expression(expression, "/x")
    except ValidationFailedError as error:
        error.detail.encode()
        return error.errors[0].code
    return None


def _probe(report: Report, name: str) -> None:
    """The next ordinary expression works."""
    if render({"$": "add(a, '1')"}, {"a": "1"}) != "2" or matches("a", [{"a": 1}, {}]) != [True, False]:
        report.worse.append(f"{name}: an ordinary expression does not work")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.expressions")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    wishes = parser.parse_args()
    report = fuzz(cases=wishes.cases, seed=wishes.seed)
    print(report.telling())
    print(report.last_line())
    return 1 if report.worse else 0


if __name__ == "__main__":
    sys.exit(main())
