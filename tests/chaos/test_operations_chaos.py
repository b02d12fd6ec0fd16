"""A hundred writes while workers die: the short form of `make chaos SUITE=operations`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.operations.run import SHORT, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_writes_when_answers_are_lost_and_workers_die_then_exactly_what_was_wished_stands_there(settings: Any) -> None:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosMaintainX"]
    outcome = run(SHORT)
    assert outcome.problems == []
    assert (outcome.result["duplicates"], outcome.result["lost"], outcome.result["unknown_left"]) == (0, 0, 0)
