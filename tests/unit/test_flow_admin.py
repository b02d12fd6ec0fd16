"""The screens of flows: the list, making, editing, publishing, and what their buttons ask."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from flows.admin.making import EMPTY_DEFINITION
from flows.models import Flow, FlowHookAddress, FlowRun, FlowSecret, FlowVersion
from syncs.models import Issue
from tests.admin_pages import change, html, press, rows_of, words
from tests.flow_stage import drain, fresh, make_flow, publish, start
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
STEP = {"name": "note", "do": "map", "value": {"$": "trigger.body"}}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return signed_in(make_person("developer", workspace))


@pytest.fixture
def flow(workspace: Workspace) -> Flow:
    return make_flow(STEP, workspace=workspace, example={"body": {"note": "from the example"}})


def connect(workspace: Workspace, name: str, **facts: Any) -> Connection:
    made = Connection(workspace=workspace, name=name, **{"system": "tryton", "environment": "live", **facts})
    made.save(force_insert=True)
    return made


def form(flow: Flow, definition: Any = None, **values: Any) -> dict[str, Any]:
    text = definition if isinstance(definition, str) else json.dumps(definition or flow.draft)
    return {"name": flow.name, "description": flow.description, "definition": text, **values}


def ended(flow: Flow, status: str, **facts: Any) -> FlowRun:
    run = start(flow, **facts)
    with scopes_disabled():
        FlowRun.objects.filter(pk=run.pk).update(status=status, finished_at=timezone.now())
    return run


# --- the list ---------------------------------------------------------------------------------------------------------


def test_list_tells_how_each_flow_stands_in_one_look(workspace: Workspace, client: Client) -> None:
    plain = make_flow(STEP, workspace=workspace)
    ended(plain, "failed")
    ended(plain, "succeeded", is_dry=True)
    start(plain)
    make_flow(STEP, workspace=workspace, is_published=False, trigger={"on": "hook"})
    daily = {"on": "schedule", "cron": "0 6 * * *", "zone": "Europe/Berlin"}
    changed = make_flow(STEP, workspace=workspace, trigger=daily)
    with scopes_disabled():
        Flow.objects.filter(pk=changed.pk).update(draft={**changed.draft, "title": "Another"})
        issue = Issue(workspace=workspace, environment="live", kind="flow_failing", title="It fails", detail="again")
        issue.subject, issue.who_must_act = str(ids.show("flow", plain.pk)), "developer"
        issue.save(force_insert=True)

    page = html(client.get(rows_of(Flow)))
    told = words(client.get(rows_of(Flow)))

    assert "At 06:00 every day, Europe/Berlin" in told and "in " in told
    assert "Published v1" in told and "Unpublished changes" in told and "Draft" in told
    assert "When a message comes to its address" in told and "1 run" in told
    assert "Failed" in page and "Runs of a flow fail" in told
    assert f"{rows_of(FlowRun)}?flow={plain.pk}" in page


def test_list_filters_and_searches(workspace: Workspace, client: Client, flow: Flow) -> None:
    resting = make_flow(STEP, workspace=workspace, is_published=False)
    other = make_flow(STEP, workspace=workspace, environment="test", trigger={"on": "hook"})
    ended(flow, "failed")

    def found(query: str) -> set[str]:
        page = html(client.get(f"{rows_of(Flow)}?{query}"))
        return {row.name for row in (flow, resting, other) if f"{row.name}<" in page}

    assert found("state=draft") == {resting.name}
    assert found("state=published") == {flow.name, other.name}
    assert found("state=changed") == set() == found("state=paused")
    assert found("trigger=hook") == {other.name} == found("environment__exact=test")
    assert found("last=failed") == {flow.name}
    assert found("last=none") == {resting.name, other.name}
    assert found(f"q={ids.show('flow', flow.pk)}") == {flow.name}
    assert found("q=nothing+of+this+name") == set()


def test_list_takes_the_same_queries_however_many_flows(workspace: Workspace, client: Client, flow: Flow) -> None:
    def queries() -> int:
        with CaptureQueriesContext(database) as asked:
            html(client.get(rows_of(Flow)))
        return len(asked)

    few = queries()
    for _ in range(5):
        ended(make_flow(STEP, workspace=workspace), "failed")
    assert few == queries() <= 7


# --- making and editing -----------------------------------------------------------------------------------------------


def new(workspace: Workspace, **values: Any) -> dict[str, Any]:
    return {"workspace": str(workspace.pk), "environment": "live", "name": "Made here", "start": "empty", **values}


def test_flow_is_made_empty_from_a_ready_one_and_from_an_export(workspace: Workspace, client: Client) -> None:
    address = f"{rows_of(Flow)}add/"
    page = html(client.get(address))
    ready = re.findall(r'name="start" value="([a-z-]+)"', page)
    assert "empty" in ready and "export" in ready and len(ready) == 4

    for number, choice in enumerate(each for each in ready if each != "export"):
        made = client.post(address, new(workspace, start=choice, name=f"Made {number}"))
        assert made.status_code == 302, words(made)
    with scope(workspace=workspace.pk):
        empty = Flow.objects.get(name="Made 0")
    assert empty.draft == EMPTY_DEFINITION

    export = client.get(f"{rows_of(Flow)}{empty.pk}/export/")
    assert "attachment" in export["Content-Disposition"]
    assert client.post(address, new(workspace, start="export", export=export.content.decode())).status_code == 302
    with scope(workspace=workspace.pk):
        assert Flow.objects.get(name="Made here").draft == EMPTY_DEFINITION
    assert "Give the flow a name" in words(client.post(address, new(workspace, name="")))
    assert "is named" in words(client.post(address, new(workspace)))
    assert "Paste the JSON" in words(client.post(address, new(workspace, start="export")))
    assert "no export of a flow" in words(client.post(address, new(workspace, start="export", export="{}")))


def test_draft_is_edited_and_its_faults_are_told_with_their_lines(
    workspace: Workspace, client: Client, flow: Flow
) -> None:
    fitting, other = connect(workspace, "Plant North"), connect(workspace, "Repairs", system="maintainx")
    connect(workspace, "In the test", environment="test")
    wished = {**flow.draft, "connections": {"erp": {"system": "tryton"}}, "title": "New"}
    wished["steps"] = [{"name": "orders", "do": "list_records", "connection": "erp", "entity": "purchase_order"}]

    saved = client.post(change(flow), form(flow, wished, **{"bind-erp": ids.show("con", fitting.pk)}))
    assert saved.status_code == 302, words(saved)
    stored = fresh(flow)
    assert stored.draft == wished and stored.bindings == {"erp": ids.show("con", fitting.pk)}
    page = html(client.get(change(flow)))
    assert "Plant North (tryton)" in page and other.name not in page and "In the test" not in page
    assert "lsh-diff-added" in page and "Unpublished changes" in page

    wrong = json.dumps({**wished, "steps": [{**wished["steps"][0], "entity": "purchase_ordr"}]}, indent=2)
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "purchase_ordr" in text)
    told = html(client.post(change(flow), form(flow, wrong)))
    assert f'data-line="{line}"' in told and "/steps/0/entity" in told and "purchase_ordr" in told
    assert fresh(flow).draft == wished, "nothing is stored"
    broken = html(client.post(change(flow), form(flow, '{\n  "format": 1,\n  oops\n}')))
    assert 'data-line="3"' in broken
    foreign = form(flow, wished, **{"bind-erp": ids.show("con", other.pk)})
    assert "Select a valid choice" in words(client.post(change(flow), foreign))


def test_draft_changed_meanwhile_is_not_overwritten(client: Client, flow: Flow) -> None:
    page = html(client.get(change(flow)))
    revision = re.search(r'name="revision" value="([0-9a-f]+)"', page)
    assert revision
    sent = form(flow, {**flow.draft, "title": "Mine"}, revision=revision[1])
    assert client.post(change(flow), sent).status_code == 302
    assert "Somebody changed the flow meanwhile" in words(client.post(change(flow), {**sent, "description": "Again"}))


def test_typing_is_checked_by_the_rules_of_saving(client: Client, flow: Flow) -> None:
    address = f"{rows_of(Flow)}definition/check/"
    assert client.post(address, {"definition": json.dumps(flow.draft)}).json() == {"faults": []}
    wrong = json.dumps({**flow.draft, "steps": [{"name": "note", "do": "mapp"}]}, indent=2)
    (first, *_) = client.post(address, {"definition": wrong}).json()["faults"]
    assert first["pointer"].startswith("/steps/0") and first["line"] > 1
    assert client.post(address, {"definition": ""}).json()["faults"][0]["detail"]
    assert "$defs" in client.get(address).json()


def test_draft_is_published_paused_resumed_restored_and_deleted(
    workspace: Workspace, client: Client, flow: Flow
) -> None:
    was = flow.draft
    saved = client.post(change(flow), form(flow, {**was, "title": "Second"}, publish="1"))
    assert saved["Location"] == press(flow, "publish")
    assert "becomes the version" in words(client.get(press(flow, "publish")))
    client.post(press(flow, "publish"))
    with scope(workspace=workspace.pk):
        assert FlowVersion.objects.get(flow=flow, number=2).definition["title"] == "Second"

    page = words(client.get(f"{rows_of(Flow)}{flow.pk}/versions/1/"))
    assert "Restore as draft" in page and "Second" in page
    client.post(f"{rows_of(Flow)}{flow.pk}/versions/1/")
    assert fresh(flow).draft == was
    assert client.get(f"{rows_of(Flow)}{flow.pk}/versions/9/").status_code == 404

    assert "not made up for" in words(client.get(press(flow, "pause")))
    client.post(press(flow, "pause"))
    assert fresh(flow).is_paused and press(flow, "resume") in html(client.get(change(flow)))
    client.post(press(flow, "resume"))
    assert not fresh(flow).is_paused

    run = start(fresh(flow))
    client.post(press(flow, "delete"))
    assert fresh(flow), "runs are under way"
    with scopes_disabled():
        FlowRun.objects.filter(pk=run.pk).update(status="succeeded")
    assert client.post(press(flow, "delete"))["Location"] == rows_of(Flow)
    with scopes_disabled():
        assert not Flow.objects.filter(pk=flow.pk).exists()


def test_publishing_says_what_is_not_bound(workspace: Workspace, client: Client) -> None:
    flow = make_flow(STEP, workspace=workspace, is_published=False)
    with scopes_disabled():
        Flow.objects.filter(pk=flow.pk).update(draft={**flow.draft, "connections": {"erp": {}}})
    told = words(client.post(press(flow, "publish"), follow=True))
    assert "Choose the connection" in told and fresh(flow).version_id is None


# --- what buttons ask -------------------------------------------------------------------------------------------------


def test_flow_is_run_by_hand_with_the_body_that_was_typed(client: Client, flow: Flow) -> None:
    assert "from the example" in html(client.get(press(flow, "run")))
    assert "must be a JSON object" in words(client.post(press(flow, "run"), {"body": "[1]"}))
    answer = client.post(press(flow, "run"), {"body": '{"note": "typed"}'})
    with scopes_disabled():
        run = FlowRun.objects.get(flow=flow)
    assert answer["Location"] == change(run)
    assert run.input["body"] == {"note": "typed"} and run.trigger == "manual" and not run.is_dry


def test_hook_address_is_shown_once_and_renewed(client: Client, flow: Flow) -> None:
    assert "another one" in words(client.get(press(flow, "hook"))), "the trigger is by hand"
    made = client.post(press(flow, "hook"), {"make": "", "signing_secret": "a-signing-secret"})
    assert "no-store" in made["Cache-Control"]
    first = re.search(r"/flow-hooks/[\w/-]+", html(made))
    assert first and first[0] not in html(client.get(press(flow, "hook")))
    second = re.search(r"/flow-hooks/[\w/-]+", html(client.post(press(flow, "hook"), {"make": ""})))
    assert second and second[0] != first[0] and "Stored" in words(client.get(press(flow, "hook")))
    client.post(press(flow, "hook"), {"remove": ""})
    with scopes_disabled():
        assert not FlowHookAddress.objects.exists()


def test_secrets_are_stored_and_removed_and_never_shown(client: Client, flow: Flow) -> None:
    client.post(press(flow, "secrets"), {"name": "api_key", "value": "canary-of-the-flow"})
    page = html(client.get(press(flow, "secrets")))
    assert "api_key" in page and "canary-of-the-flow" not in page
    refused = html(
        client.post(press(flow, "secrets"), {"name": "Not Good", "value": "canary-of-the-flow"}, follow=True)
    )
    assert "canary-of-the-flow" not in refused and "lower-case letters" in refused
    client.post(press(flow, "secrets"), {"remove": "api_key"})
    with scopes_disabled():
        assert not FlowSecret.objects.exists()


def test_operator_runs_and_does_not_edit_and_auditor_looks(workspace: Workspace, flow: Flow) -> None:
    operator, auditor = (signed_in(make_person(role, workspace)) for role in ("operator", "auditor"))
    for client, may_run in ((operator, True), (auditor, False)):
        page = html(client.get(change(flow)))
        assert (press(flow, "run") in page, press(flow, "test") in page) == (may_run, may_run)
        assert press(flow, "publish") not in page and "id_definition" not in page and "note" in page
        for name in ("publish", "hook", "secrets", "delete"):
            assert client.post(press(flow, name)).status_code == 403, name
        assert client.post(change(flow), form(flow)).status_code == 403
        assert client.get(f"{rows_of(Flow)}add/").status_code == 403
        assert client.post(press(flow, "run"), {"body": "{}"}).status_code == (302 if may_run else 403)
        for name in ("pause", "resume"):  # who runs what is there may stop it
            assert client.post(press(flow, name)).status_code == (302 if may_run else 403), name


def test_page_takes_the_same_queries_however_long_the_history(client: Client, flow: Flow) -> None:
    def queries() -> int:
        with CaptureQueriesContext(database) as asked:
            html(client.get(change(flow)))
        return len(asked)

    few = queries()
    for number in range(4):
        publish(flow, title=f"Title {number}")
        ended(flow, "failed")
    assert queries() <= few <= 13


def test_step_is_tested_with_what_it_saw_in_a_run(workspace: Workspace, client: Client) -> None:
    each = {"name": "each", "do": "for_each", "items": "trigger.body.lines", "key": "item.id"}
    inner = {"name": "inner", "do": "map", "value": {"$": "{id: item.id, said: steps.note.said}"}}
    flow = make_flow(STEP, {**each, "steps": [inner]}, workspace=workspace)
    run = drain(start(flow, {"said": "in the run", "lines": [{"id": "a"}]}))
    query = {"run": str(run.pk), "step": "inner", "path": "each[a].inner"}

    page = client.get(press(flow, "test"), query)
    pinned = json.loads(page.context["form"].initial["input"])
    assert pinned["trigger"] == run.input and pinned["item"] == {"id": "a"} and pinned["index"] == 0
    assert pinned["steps"] == {"note": {"said": "in the run", "lines": [{"id": "a"}]}}
    assert "in the run" in html(page)

    sent = {"step": "inner", "use": "published", "input": json.dumps(pinned)}
    answer = client.post(press(flow, "test"), sent)
    assert not answer.context["form"].errors
    shown = words(answer)
    assert "Succeeded" in shown and '"said": "in the run"' in shown
    pinned["steps"] = {}
    wrong = client.post(press(flow, "test"), {**sent, "input": json.dumps({**pinned, "stranger": 1})})
    assert "/input/stranger" in words(wrong) and "stranger" in html(wrong)
    with scopes_disabled():
        assert FlowRun.objects.count() == 1, "a test leaves nothing behind"


def test_flow_is_tried_out_as_a_whole(client: Client, flow: Flow) -> None:
    assert "from the example" in html(client.get(press(flow, "dry")))
    answer = client.post(press(flow, "dry"), {"use": "draft", "input": '{"body": {"note": "dry"}}'})
    with scopes_disabled():
        run = FlowRun.objects.get(flow=flow)
    assert answer["Location"] == change(run) and run.is_dry
    drain(run)
    assert "nothing is written" in words(client.get(change(run)))
