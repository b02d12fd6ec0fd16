"""Issues about flows: failing, overdue, waiting for a person, a trigger that cannot be judged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope, scopes_disabled

from core.ids import new_id
from flows.models import Flow, FlowRun
from flows.services.issue_rules import RULES
from syncs.models import Issue
from syncs.services.issues import all_rules, evaluate_all, issue_link
from tests.flow_triggers import change, make_flow, runs_of, shown
from tests.issue_stage import open_issues
from tests.unit.test_flow_keeping import id_of
from webhooks.services import clock

pytestmark = pytest.mark.django_db(transaction=True)
ERROR = {"code": "VALIDATION_FAILED", "message": "No such vendor.", "action": "Correct the flow.", "step": "order"}
HOUR = timedelta(hours=1)


def make_runs(flow: Flow, count: int, status: str, *, ago: timedelta = HOUR, **facts: Any) -> None:
    with scope(workspace=flow.workspace_id):
        FlowRun.objects.bulk_create(
            FlowRun(
                pk=id_of(clock.now() - ago),
                workspace_id=flow.workspace_id,
                environment=flow.environment,
                flow=flow,
                version=flow.version,
                trigger="manual",
                status=status,
                error=ERROR if status == "failed" else None,
                **facts,
            )
            for _ in range(count)
        )


def found() -> list[tuple[str, str, Any]]:
    evaluate_all()
    return [(issue.kind, issue.subject, issue.environment) for issue in open_issues()]


def test_rules_of_this_room_are_among_all() -> None:
    assert set(RULES) <= set(all_rules())


def test_flow_whose_runs_mostly_fail_is_an_issue_until_they_succeed() -> None:
    flow = make_flow()
    make_runs(flow, 3, "failed")
    make_runs(flow, 1, "succeeded")
    make_runs(flow, 9, "failed", is_dry=True)
    make_runs(flow, 9, "failed", ago=25 * HOUR)
    make_runs(flow, 2, "waiting")
    make_runs(flow, 2, "cancelled")
    assert found() == []  # four are too few
    make_runs(flow, 2, "succeeded")
    assert found() == [("flow_failing", shown(flow), "test")]
    (issue,) = open_issues()
    assert issue.title == f"3 of the last 6 runs of {flow.name} failed"
    assert (issue.detail, issue.action) == (ERROR["message"], ERROR["action"])
    make_runs(flow, 1, "succeeded", ago=HOUR / 2)
    assert found() == []


def test_only_the_latest_runs_count() -> None:
    flow = make_flow()
    make_runs(flow, 100, "failed", ago=2 * HOUR)
    make_runs(flow, 11, "succeeded")
    assert found() == []
    other = make_flow()
    make_runs(other, 100, "succeeded", ago=2 * HOUR)
    make_runs(other, 10, "failed")
    assert found() == [("flow_failing", shown(other), "test")]


@pytest.mark.parametrize("status", ["queued", "running", "waiting"])
def test_run_beyond_its_time_is_an_issue_until_it_ends(status: str) -> None:
    flow = make_flow()
    make_runs(flow, 2, status, overdue_at=clock.now() - HOUR)
    make_runs(flow, 1, status, overdue_at=clock.now() + HOUR)
    make_runs(flow, 1, "succeeded", overdue_at=clock.now() - HOUR)
    assert found() == [("flow_overdue", shown(flow), "test")]
    assert open_issues()[0].title == f"2 runs of {flow.name} should have ended by now"
    for run in runs_of(flow):
        change(run, status="succeeded")
    assert found() == []


def test_schedule_that_nobody_starts_is_an_issue() -> None:
    flow = make_flow({"on": "schedule", "cron": "0 6 * * *"})
    change(flow, next_due_at=clock.now() - timedelta(minutes=14))
    assert found() == []
    change(flow, next_due_at=clock.now() - timedelta(minutes=16))
    assert found() == [("flow_overdue", shown(flow), "test")]
    assert "was not started" in open_issues()[0].title
    change(flow, is_paused=True)
    assert found() == []


def test_run_that_waits_for_a_person_is_an_issue_until_somebody_decides() -> None:
    flow = make_flow()
    make_runs(flow, 1, "waiting", waits_for="person")
    make_runs(flow, 1, "waiting", waits_for="event")
    assert found() == [("flow_needs_decision", shown(flow), "test")]
    assert open_issues()[0].title == f"1 run of {flow.name} waits for a decision"
    for run in runs_of(flow):
        change(run, status="failed")
    assert found() == []


def test_trigger_that_cannot_be_judged_is_an_issue_until_it_can() -> None:
    flow = make_flow()
    change(flow, trigger_error={"code": "EXPRESSION_FAILED", "message": "Not a string.", "event": None, "at": "now"})
    assert found() == [("flow_trigger_broken", shown(flow), "test")]
    assert open_issues()[0].detail == "Not a string."
    change(flow, trigger_error=None)
    assert found() == []


def test_flow_that_is_deleted_has_no_issues() -> None:
    flow = make_flow()
    change(flow, trigger_error={"message": "?"})
    assert len(found()) == 1
    with scopes_disabled():
        Flow.objects.filter(pk=flow.pk).delete()
    assert found() == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_issue_leads_to_the_flow(rule: Any) -> None:
    flow_id = new_id()
    issue = Issue(kind=rule.kind, subject=f"flow_{flow_id.hex}")
    assert issue_link(issue).endswith(f"/admin/flows/flow/{flow_id}/change/")


def test_endpoints_and_connections_still_have_their_pages() -> None:
    endpoint_id, connection_id = new_id(), new_id()
    assert issue_link(Issue(kind="endpoint_disabled", subject=f"whe_{endpoint_id.hex}")).endswith(
        f"/admin/webhooks/webhookendpoint/{endpoint_id}/change/"
    )
    assert str(connection_id) in issue_link(Issue(kind="offline", connection_id=connection_id))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_rules_ask_by_index(rule: Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN " + rule.sql)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "Seq Scan on flows_flowrun" not in plan
