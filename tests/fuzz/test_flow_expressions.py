"""Hostile expressions find nothing worse than a clear error.

Here a few hundred, always the same; `make fuzz SUITE=expressions` tries 10,000, each time others.
"""

from __future__ import annotations

import pytest

from tests.fuzz import expressions
from tests.fuzz.expressions import fuzz


def test_hostile_expressions_end_in_a_value_or_a_clear_error() -> None:
    report = fuzz(cases=1000, seed=1)
    assert not report.worse, report.telling()
    assert report.cases == 1000 and report.ends["value"] > 100, report.telling()
    assert {"EXPRESSION_FAILED", "EXPRESSION_TOO_LARGE", "EXPRESSION_TOO_DEEP", "EXPRESSION_INVALID"} <= set(
        report.ends
    )


def test_something_worse_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise KeyError("broken")

    monkeypatch.setattr(expressions, "check_expression", broken)
    report = fuzz(cases=3, seed=1)
    assert len(report.worse) == 3 and "KeyError" in report.telling()
