"""Five hundred events while workers die: the short form of `make chaos SUITE=webhooks`."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from django.db import connection, transaction

from tests.chaos.processes import running, until
from tests.chaos.webhooks.run import SHORT, run
from tests.tenants import emit_now, make_workspace
from tests.webhook_stage import deliveries, fresh, make_endpoint
from webhooks.services.fanout import fan_out

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(150)]


def test_events_when_workers_die_and_hints_are_lost_then_everybody_is_told_everything(
    settings: Any, monkeypatch: Any
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8")
    outcome = run(SHORT)
    assert outcome.problems == []
    assert outcome.result["missed"] == 0


@pytest.mark.parametrize(("point", "happened"), [("before_commit", False), ("after_commit", True)])
def test_an_event_is_told_exactly_when_its_cause_happened(point: str, happened: bool) -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, "http://127.0.0.1:9/")
    cut(point, workspace)
    assert (fresh(workspace).name == "Caused") is happened
    assert fan_out() == int(happened)
    assert len(deliveries(endpoint)) == int(happened)


@pytest.mark.parametrize("point", ["fanning", "fanned"])
def test_a_fan_out_that_was_killed_is_done_once(point: str) -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, "http://127.0.0.1:9/")
    with transaction.atomic():
        event = emit_now(workspace, environment="test", data={"number": 1})
    cut(point, workspace)
    assert fan_out() == int(point == "fanning")
    assert [row.event_id for row in deliveries(endpoint)] == [event]


def cut(point: str, workspace: Any) -> None:
    """Run a process that kills itself there, until it has."""
    with running("-m", "tests.chaos.webhooks.cut", point, str(workspace.pk)) as process:
        assert process.wait(30) == -signal.SIGKILL
    database_forgets = 10.0
    until(lambda: not _others_are_busy(), seconds=database_forgets, what="the killed session is rolled back")


def _others_are_busy() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND xact_start IS NOT NULL AND backend_type = 'client backend'"
        )
        return bool(cursor.fetchone()[0])
