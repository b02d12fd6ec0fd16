"""schemathesis against the whole API: no request is answered by a 5xx.

Here a few hundred cases, always the same; `make fuzz CASES=5000` sends thousands, each time others.
"""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import Client

from integrations import registry
from tests.fuzz.application import STATEFUL, Application
from tests.fuzz.run import fuzz
from tests.tenancy.world import World


def test_no_request_made_from_the_description_is_answered_by_a_5xx(world: World) -> None:
    report = fuzz(world, cases=300, seed=1, seconds=90, phases=("examples", "fuzzing"))
    assert report.is_clean and report.cases > 500, report.telling()
    answered = report.statuses["examples"] + report.statuses["fuzzing"]
    assert sum(answered[status] for status in (200, 201, 202)) > 0.2 * report.cases, "it came to no depth"


def test_a_view_that_fails_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(registry, "_catalogue", broken)
    app = Application()
    with app.running():
        client = Client(app)
        assert client.get("/api/v1/systems").status_code == 401
        clear = world.mine.tokens["live"][1]
        assert client.get("/api/v1/systems", headers={"Authorization": f"Bearer {clear}"}).status_code == 500
    assert app.cases == 2
    assert [error.status for error in app.errors] == [500] and "GET /api/v1/systems" in str(app.errors[0])


def test_number_that_the_database_writes_as_a_long_integer_is_shown_again(world: World) -> None:
    """Found by the fuzzing: a jsonb column gives 1e30 back as an integer of 31 digits, beyond 64 bits."""
    app = Application()
    address, clear = f"/api/v1/connections/{world.plant.shown_id}", world.mine.tokens["live"][1]
    with app.running():
        app.phase = STATEFUL
        client = Client(app)
        headers = {"Authorization": f"Bearer {clear}"}
        changed = client.patch(address, json={"metadata": {"large": 1e30}}, headers=headers)
        listed = client.get("/api/v1/connections", headers=headers)
    assert (changed.status_code, listed.status_code) == (200, 200)
    assert changed.get_json()["metadata"]["large"] == 10**30, "the same number, as PostgreSQL spells it"
