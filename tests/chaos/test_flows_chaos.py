"""Thirty runs while workers die: the short form of `make chaos SUITE=flows`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.flows.run import SHORT, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_runs_when_workers_die_then_each_write_has_one_effect_and_each_step_is_in_the_log(settings: Any) -> None:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosMaintainX"]
    outcome = run(SHORT)
    assert outcome.problems == []
    assert (outcome.result["doubled"], outcome.result["lost"]) == (0, 0)
