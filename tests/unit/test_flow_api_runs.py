"""Runs over the API: started, listed, decided about; steps and tests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django_scopes import scope, scopes_disabled

from flows.models import FlowRun, StepRun
from flows.services.editing import publish
from tests.tenants import make_workspace
from tests.unit.test_flow_api import DEFINITION, FLOWS, client_of, make, ok, pointers, published, refused, send
from workspaces.models import Workspace

RUNS = "/api/v1/flow-runs"
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
HTTP: dict[str, Any] = {
    "name": "call", "do": "http_request", "method": "POST", "url": "https://chat.example.com/", "body": {"a": 1},
}  # fmt: skip


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return client_of(workspace)


def row(body: Any) -> Any:
    with scopes_disabled():
        return FlowRun.objects.get(pk=UUID(body["id"].removeprefix("frun_")))


def set_row(body: Any, **facts: Any) -> None:
    with scopes_disabled():
        FlowRun.objects.filter(pk=row(body).pk).update(**facts)


def give_step(body: Any, path: str, **facts: Any) -> StepRun:
    run = row(body)
    values = {"kind": "http_request", "name": path.rpartition(".")[2], "workspace_id": run.workspace_id, **facts}
    step = StepRun(run=run, path=path, **values)
    step.save(force_insert=True)
    return step


def start(client: Client, flow: Any, body: Any = None, status: int = 202, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return ok(send(client, "post", f"{FLOWS}/{flow['id']}/runs", {"body": body or {}}, **headers), status)


def test_run_is_started_seen_and_listed(client: Client) -> None:
    flow = published(client)
    response = send(client, "post", f"{FLOWS}/{flow['id']}/runs", {"body": {"order": "4711"}})

    run = ok(response, 202)
    assert response["Location"] == f"{RUNS}/{run['id']}"
    assert (run["flow"], run["version"], run["status"], run["trigger"]) == (flow["id"], 1, "queued", "api")
    assert run["input"]["body"] == {"order": "4711"} and run["input"]["kind"] == "api"
    assert run["triggered_by"].startswith("token tok_") and not run["is_dry"]
    seen = ok(client.get(response["Location"]))
    assert seen == run
    listed = {name: value for name, value in seen.items() if name != "input"}
    other = published(client, name="Other")
    start(client, other)
    for address in (f"{FLOWS}/{flow['id']}/runs", f"{RUNS}?flow={flow['id']}"):
        assert ok(client.get(address)) == {"data": [listed], "next_cursor": None}
    assert len(ok(client.get(RUNS))["data"]) == 2


def test_key_starts_one_run(client: Client) -> None:
    flow = published(client)
    key = {"Idempotency-Key": "order-4711"}

    first = start(client, flow, {"a": 1}, key="order-4711")
    assert start(client, flow, {"a": 1}, status=200, key="order-4711")["id"] == first["id"]
    again = send(client, "post", f"{FLOWS}/{flow['id']}/runs", {"body": {"a": 2}}, **key)
    assert refused(again) == (422, "IDEMPOTENCY_KEY_REUSED")
    wrong = send(client, "post", f"{FLOWS}/{flow['id']}/runs", {}, **{"Idempotency-Key": "a b"})
    assert refused(wrong) == (400, "INVALID_HEADER")
    start(client, published(client, name="Other"), {"a": 2}, key="order-4711")


def test_key_of_the_flow_itself_wins(client: Client) -> None:
    flow = published(client, definition={**DEFINITION, "key": "trigger.body.order"})

    first = start(client, flow, {"order": "1"}, key="one")
    assert start(client, flow, {"order": "1", "more": 1}, status=200, key="two")["id"] == first["id"]
    assert start(client, flow, {"order": "2"})["id"] != first["id"]


def test_run_of_a_draft_or_a_paused_flow_is_refused(client: Client) -> None:
    draft = make(client)
    assert refused(send(client, "post", f"{FLOWS}/{draft['id']}/runs")) == (409, "FLOW_NOT_PUBLISHED")
    flow = published(client, name="Other")
    ok(send(client, "post", f"{FLOWS}/{flow['id']}/pause"))
    assert refused(send(client, "post", f"{FLOWS}/{flow['id']}/runs")) == (409, "FLOW_PAUSED")
    assert pointers(send(client, "post", f"{FLOWS}/{flow['id']}/runs", {"body": [1]})) == ["/body"]


def test_runs_are_filtered_and_paged(client: Client) -> None:
    flow = published(client)
    runs = [start(client, flow) for _ in range(3)]
    set_row(runs[0], status="failed")
    set_row(runs[1], is_dry=True)

    def found(query: str) -> list[str]:
        return [run["id"] for run in ok(client.get(f"{RUNS}?{query}"))["data"]]

    assert found("status=failed") == [runs[0]["id"]] and found("dry=true") == [runs[1]["id"]]
    assert found("dry=false") == [runs[2]["id"], runs[0]["id"]]
    assert found("trigger=schedule") == [] and len(found("trigger=api")) == 3
    first = ok(client.get(f"{RUNS}?limit=2"))
    second = ok(client.get(f"{RUNS}?limit=2&cursor={first['next_cursor']}"))
    assert [run["id"] for run in (*first["data"], *second["data"])] == [run["id"] for run in reversed(runs)]
    for query in ("status=done", "dry=1", "flow=nonsense"):
        assert refused(client.get(f"{RUNS}?{query}")) == (400, "INVALID_PARAMETER")


def test_steps_are_listed_in_the_order_they_began(client: Client) -> None:
    run = start(client, published(client))
    made = [give_step(run, path) for path in ("first", "each[1].a", "each[1].b", "last")]
    with scopes_disabled():
        StepRun.objects.filter(pk__in=[made[1].pk, made[2].pk]).update(scope="each[1]", status="failed")

    address = f"{RUNS}/{run['id']}/steps"
    first = ok(client.get(f"{address}?limit=3"))
    second = ok(client.get(f"{address}?limit=3&cursor={first['next_cursor']}"))
    paths = [step["path"] for step in (*first["data"], *second["data"])]
    assert paths == ["first", "each[1].a", "each[1].b", "last"]
    for query in ("scope=each[1]", "status=failed"):
        assert [step["path"] for step in ok(client.get(f"{address}?{query}"))["data"]] == paths[1:3]
    assert refused(client.get(f"{RUNS}/frun_{'0' * 32}/steps")) == (404, "NOT_FOUND")


# --- decisions --------------------------------------------------------------------------------------------------------


def test_run_is_cancelled(client: Client) -> None:
    run = start(client, published(client))

    assert ok(send(client, "post", f"{RUNS}/{run['id']}/cancel"))["status"] == "cancelled"
    assert send(client, "post", f"{RUNS}/{run['id']}/cancel").status_code == 409
    assert refused(send(client, "post", f"{RUNS}/{run['id']}/cancel", {"a": 1})) == (400, "UNKNOWN_FIELD")


def test_failed_run_goes_on_and_is_run_again_on_the_latest_version(client: Client, workspace: Workspace) -> None:
    flow = published(client)
    run = start(client, flow, {"a": 1})
    assert send(client, "post", f"{RUNS}/{run['id']}/retry").status_code == 409, "it has not failed"
    give_step(run, "note", status="failed", kind="map", error={"code": "X", "message": "no"})
    set_row(run, status="failed", current_step="note", error={"code": "X", "message": "no", "step": "note"})

    ok(send(client, "patch", f"{FLOWS}/{flow['id']}", {"definition": {**DEFINITION, "title": "Two"}}))
    ok(send(client, "post", f"{FLOWS}/{flow['id']}/publish"))
    again = ok(send(client, "post", f"{RUNS}/{run['id']}/rerun"), 202)
    assert (again["rerun_of"], again["version"], again["input"]) == (run["id"], 2, run["input"])
    retried = ok(send(client, "post", f"{RUNS}/{run['id']}/retry"))
    assert (retried["id"], retried["version"], retried["status"]) == (run["id"], 1, "queued")


def test_lost_step_is_resolved(client: Client) -> None:
    run = start(client, published(client, definition={**DEFINITION, "steps": [HTTP]}))
    address = f"{RUNS}/{run['id']}/resolve"
    for body in ({"outcome": "succeeded"}, {"outcome": "failed", "step": "nonsense"}):
        assert send(client, "post", address, body).status_code == 409, "it waits for nobody"
    give_step(run, "call", status="waiting", has_begun=True)
    set_row(run, status="waiting", waits_for="person", current_step="call", admitted_at="2026-03-01T08:00:00Z")

    assert pointers(send(client, "post", address, {"outcome": "failed", "output": 1})) == ["/output"]
    assert pointers(send(client, "post", address, {"outcome": "perhaps"})) == ["/outcome"]
    body = ok(send(client, "post", address, {"outcome": "succeeded", "output": {"status": 200}, "step": "call"}))
    assert body["waits_for"] is None
    steps = ok(client.get(f"{RUNS}/{run['id']}/steps"))["data"]
    assert (steps[0]["status"], steps[0]["output"]) == ("succeeded", {"status": 200})
    assert send(client, "post", address, {"outcome": "failed"}).status_code == 409, "decided once"


# --- tests ------------------------------------------------------------------------------------------------------------


def test_step_is_tried_alone(client: Client) -> None:
    flow = published(client)
    address = f"{FLOWS}/{flow['id']}/steps/note/test"

    tried = ok(send(client, "post", address, {"input": {"trigger": {"body": {"a": 1}}}}))
    assert tried["output"] == {"a": 1} and tried["error"] is None and tried["elapsed_ms"] >= 0
    ok(send(client, "patch", f"{FLOWS}/{flow['id']}", {"definition": {**DEFINITION, "steps": [HTTP]}}))
    assert send(client, "post", address, {"input": {}}).status_code == 404, "the draft has no such step"
    assert ok(send(client, "post", address, {"input": {}, "use": "published"}))["error"] is None
    assert pointers(send(client, "post", address, {"input": []})) == ["/input"]
    assert pointers(send(client, "post", address, {"input": {"nonsense": 1}, "use": "published"})) == [
        "/input/nonsense"
    ]
    with scopes_disabled():
        assert not FlowRun.objects.exists()


def test_flow_is_tried_as_a_whole(client: Client) -> None:
    flow = published(client)
    run = start(client, flow, {"a": 1})
    address = f"{FLOWS}/{flow['id']}/dry-run"

    dry = ok(send(client, "post", address, {"of_run": run["id"]}), 202)
    assert dry["is_dry"] and dry["input"] == run["input"]
    given = ok(send(client, "post", address, {"input": {"kind": "api", "body": {}}, "use": "published"}), 202)
    assert given["version"] == 1
    assert ok(send(client, "post", address), 202)["input"]["kind"] == "api"
    assert pointers(send(client, "post", address, {"input": {}, "of_run": run["id"]})) == ["/input"]
    elsewhere = start(client, published(client, name="Other"))
    assert refused(send(client, "post", address, {"of_run": elsewhere["id"]})) == (404, "NOT_FOUND")


def test_dry_run_of_a_flow_that_was_never_published(client: Client, workspace: Workspace) -> None:
    flow = make(client)
    dry = ok(send(client, "post", f"{FLOWS}/{flow['id']}/dry-run", {"input": {"kind": "api", "body": {}}}), 202)

    assert dry["is_dry"] and dry["version"] is None
    assert ok(client.get(f"{FLOWS}/{flow['id']}/versions"))["data"] == [], "a draft is no version"
    with scope(workspace=workspace.pk):
        assert publish(row(dry).flow, by="ann").number == 1
