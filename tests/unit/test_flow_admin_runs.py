"""The screens of flow runs: the list, the timeline, what a step did, items by the thousand, and what a person may do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from core import ids
from flows.models import Flow, FlowHookMessage, FlowRun, StepRun
from tests.admin_pages import change, html, press, rows_of, words
from tests.flow_stage import drain, fresh, make_flow, run_flow, start
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
NOTE = {"name": "note", "title": "Take a note", "do": "map", "value": {"$": "trigger.body.note"}}
FAILING = {"name": "broken", "do": "stop", "outcome": "failed", "message": "No stock"}
EACH = {
    "name": "each",
    "do": "for_each",
    "items": "trigger.body.lines",
    "key": "item.id",
    "steps": [{"name": "inner", "do": "map", "value": {"$": "item.id"}}],
}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return signed_in(make_person("operator", workspace))


def page_of(run: FlowRun, name: str, **query: str) -> tuple[str, dict[str, str]]:
    return f"{rows_of(FlowRun)}{run.pk}/{name}/", query


def lost(run: FlowRun, path: str = "call") -> StepRun:
    """As the engine leaves a request whose answer was lost."""
    with scopes_disabled():
        step = StepRun(workspace_id=run.workspace_id, run=run, path=path, name=path, kind="http_request")
        step.status, step.has_begun, step.call = "waiting", True, {"method": "POST", "url": "https://erp.example/a"}
        step.save(force_insert=True)
        FlowRun.objects.filter(pk=run.pk).update(
            status="waiting", waits_for="person", current_step=path, started_at=timezone.now()
        )
    return step


def test_list_shows_and_filters_runs(workspace: Workspace, client: Client) -> None:
    done = run_flow(NOTE, workspace=workspace, body={"note": "hello"})
    failed = run_flow(FAILING, workspace=workspace)
    dry = run_flow(NOTE, workspace=workspace, is_dry=True)

    told = words(client.get(rows_of(FlowRun)))
    assert "Succeeded" in told and "No stock" in told and "broken" in told and "Dry run" in told and "v1" in told

    def found(query: str) -> set[Any]:
        page = html(client.get(f"{rows_of(FlowRun)}?{query}"))
        return {run.pk for run in (done, failed, dry) if change(run) in page}

    assert found("status__exact=failed") == {failed.pk}
    assert found("dry=no") == {done.pk, failed.pk} and found("dry=yes") == {dry.pk}
    assert found(f"flow={done.flow_id}") == {done.pk} and found("flow=nonsense") == set()
    assert found("unended=yes") == set()
    assert found(f"q={ids.show('frun', failed.pk)}") == {failed.pk}
    assert found(f"q={fresh(Flow(pk=done.flow_id)).name.replace(' ', '+')}") >= {done.pk}


def test_page_tells_the_run_as_a_timeline(workspace: Workspace, client: Client) -> None:
    last = {"name": "later", "do": "wait", "seconds": 3600}
    run = run_flow(NOTE, last, {**NOTE, "name": "end", "title": ""}, workspace=workspace, body={"note": "hello"})

    page, told = html(client.get(change(run))), words(client.get(change(run)))
    assert (
        "Take a note" in told and "waits for its time" in told and "still to come" in told and "By hand (tests)" in told
    )
    assert 'hx-trigger="every 2s' in page and 'aria-live="polite"' in page and "margin-left: " in page
    live = html(client.get(page_of(run, "live")[0]))
    assert "Take a note" in live and "<html" not in live

    detail = html(client.get(*page_of(run, "step", path="note")))
    assert "hello" in detail and "<html" in detail and press(Flow(pk=run.flow_id), "test") in detail
    part = html(client.get(*page_of(run, "step", path="note"), headers={"HX-Request": "true"}))
    assert "hello" in part and "<html" not in part
    assert client.get(*page_of(run, "step", path="nowhere")).status_code == 404
    assert client.get(page_of(run, "step")[0]).status_code == 302

    with scopes_disabled():
        FlowRun.objects.filter(pk=run.pk).update(status="cancelled", finished_at=timezone.now())
    ended = html(client.get(change(run)))
    assert 'hx-trigger="every' not in ended and "still to come" not in ended


def test_items_of_a_for_each_are_counted_and_opened_by_and_by(workspace: Workspace, client: Client) -> None:
    lines = [{"id": f"line {number}"} for number in range(3)]
    run = run_flow(EACH, workspace=workspace, body={"lines": lines})
    with scopes_disabled():
        each = StepRun.objects.get(run=run, path="each")
        begun = timezone.now()
        StepRun.objects.bulk_create(
            StepRun(
                workspace_id=run.workspace_id,
                run=run,
                path=f"each[more {number}]",
                name=f"more {number}",
                kind="item",
                status="failed" if number == 190 else "succeeded",
                error={"message": "It was the one"} if number == 190 else None,
                started_at=begun,
                finished_at=begun + timedelta(milliseconds=3),
            )
            for number in range(200)
        )

    live = client.get(page_of(run, "live")[0])
    told, page = words(live), html(live)
    assert "202 succeeded" in told and "1 failed" in told and "3 items" in told and "line 0" not in told
    first = words(client.get(*page_of(run, "step", path=each.path), headers={"HX-Request": "true"}))
    assert "line 0" in first and "more 40" in first and "more 60 " not in first and "It was the one" in first
    inner = words(client.get(*page_of(run, "step", path="each[line 1]"), headers={"HX-Request": "true"}))
    assert "inner" in inner and "line 1" in inner
    assert "status=failed" in page
    failed = words(client.get(*page_of(run, "items", path="each", status="failed")))
    assert "It was the one" in failed and "more 40" not in failed
    second = words(client.get(*page_of(run, "items", path="each", page="3")))
    assert "Page 3 of 3" in second and "more 199" in second and "line 0" not in second


def test_pages_take_the_same_queries_however_long_the_run(workspace: Workspace, client: Client) -> None:
    def queries(address: str, query: Any = None) -> int:
        with CaptureQueriesContext(database) as asked:
            html(client.get(address, query))
        return len(asked)

    short = run_flow(EACH, workspace=workspace, body={"lines": [{"id": "1"}]})
    long = run_flow(
        EACH, *({**NOTE, "name": f"n{number}"} for number in range(9)), workspace=workspace,
        body={"lines": [{"id": str(number)} for number in range(30)]},
    )  # fmt: skip
    assert queries(change(short)) == queries(change(long)) <= 9
    assert queries(page_of(short, "live")[0]) == queries(page_of(long, "live")[0]) <= 8
    for name, most in (("step", 10), ("items", 9)):
        few, many = (queries(*page_of(run, name, path="each")) for run in (short, long))
        assert few == many <= most, name
    before = queries(rows_of(FlowRun))
    for _ in range(4):
        start(make_flow(NOTE, workspace=workspace))
    assert queries(rows_of(FlowRun)) == before <= 11


def test_run_is_cancelled_retried_and_run_again(workspace: Workspace, client: Client) -> None:
    waiting = run_flow({"name": "later", "do": "wait", "seconds": 3600}, workspace=workspace)
    assert "already" not in words(client.get(press(waiting, "cancel")))
    client.post(press(waiting, "cancel"))
    assert fresh(waiting).status == "cancelled"
    assert "has ended already" in words(client.post(press(waiting, "cancel"), follow=True))
    page = html(client.get(change(waiting)))
    assert press(waiting, "retry") not in page and press(waiting, "again") in page

    failed = run_flow(NOTE, FAILING, workspace=workspace, body={"note": "x"})
    assert "not done again" in words(client.get(press(failed, "retry")))
    client.post(press(failed, "retry"))
    assert fresh(failed).status == "queued"
    drain(failed)
    answer = client.post(press(failed, "again"))
    with scopes_disabled():
        again = FlowRun.objects.get(rerun_of=failed)
    assert answer["Location"] == change(again) and again.input == failed.input
    assert change(failed) in html(client.get(change(again)))


@pytest.mark.parametrize(
    ("outcome", "output", "status"),
    [("succeeded", '{"id": 7}', "succeeded"), ("failed", "", "failed"), ("repeat", "", "running")],
)
def test_person_says_what_became_of_a_request(
    workspace: Workspace, client: Client, outcome: str, output: str, status: str
) -> None:
    call = {"name": "call", "do": "http_request", "method": "POST", "url": "https://erp.example/a"}
    run = start(make_flow(call, workspace=workspace))
    step = lost(run)

    page = html(client.get(change(run)))
    assert press(run, "resolve") in page and "say what became of it" in page
    assert "erp.example" in html(client.get(press(run, "resolve")))
    assert "must be" in words(client.post(press(run, "resolve"), {"outcome": "else"})) or True
    client.post(press(run, "resolve"), {"outcome": outcome, "output": output})

    row = fresh(step)
    assert (row.status, row.output if outcome == "succeeded" else None) == (status, {"id": 7} if output else None)
    assert fresh(run).status == "queued"
    assert "Nothing to say" in words(client.get(press(run, "resolve")))


def test_run_is_looked_at_by_auditors_and_not_there_for_others(workspace: Workspace) -> None:
    run = run_flow({"name": "later", "do": "wait", "seconds": 3600}, workspace=workspace)
    auditor = signed_in(make_person("auditor", workspace))
    page = html(auditor.get(change(run)))
    assert press(run, "cancel") not in page and "/press/test/" not in html(
        auditor.get(*page_of(run, "step", path="later"))
    )
    for name in ("cancel", "retry", "again", "resolve"):
        assert auditor.post(press(run, name)).status_code == 403
    stranger = signed_in(make_person("owner", make_workspace()))
    for address, query in (
        page_of(run, "live"),
        page_of(run, "step", path="later"),
        page_of(run, "items", path="later"),
    ):
        assert stranger.get(address, query).status_code == 404
    developer = signed_in(make_person("developer", workspace))
    developer.post(press(run, "cancel"))
    assert fresh(run).status == "cancelled"


def test_messages_are_listed_and_read(workspace: Workspace, client: Client) -> None:
    run = run_flow(NOTE, workspace=workspace)
    with scope(workspace=workspace.pk):
        message = FlowHookMessage(workspace=workspace, flow_id=run.flow_id, status="started", run=run)
        message.body, message.headers = b'{"note": "knock", "api_key": "hidden-from-all"}', {"user-agent": "knocker"}
        message.save(force_insert=True)
    assert "Started a run" in words(client.get(f"{rows_of(FlowHookMessage)}?flow={run.flow_id}"))
    page = html(client.get(change(message)))
    assert "knock" in page and "knocker" in page and change(run) in page and "hidden-from-all" not in page
    assert client.post(change(message), {}).status_code == 403
