"""Flows over the API: made, seen, changed, published; their secrets, addresses and messages; what the schema tells."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django_scopes import scope, scopes_disabled
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from connections.models import Connection
from flows.definitions.ready import READY
from flows.models import Flow, FlowHookMessage, FlowRun, FlowSecret
from tests.tenants import api, make_token, make_workspace
from workspaces.models import Workspace

FLOWS = "/api/v1/flows"
API: dict[str, Any] = {"on": "api"}
NOTE: dict[str, Any] = {"name": "note", "do": "map", "value": {"$": "trigger.body"}}
DEFINITION: dict[str, Any] = {"title": "Notes", "trigger": API, "steps": [NOTE]}
READS: dict[str, Any] = {"name": "find", "do": "list_records", "connection": "erp", "entity": "vendor"}
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return client_of(workspace)


def client_of(workspace: Workspace, *scopes: str, **facts: Any) -> Client:
    return api(make_token(workspace, scopes=scopes or ("flows:write", "flows:run"), **facts)[1])


def connect(workspace: Workspace, environment: str = "live") -> Connection:
    made = Connection(workspace=workspace, system="tryton", name="Plant", environment=environment)
    made.save(force_insert=True)
    return made


def send(client: Client, method: str, address: str, body: Any = None, **headers: str) -> Any:
    call = getattr(client, method)
    return call(address, body if body is not None else {}, content_type="application/json", headers=headers)


def ok(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return response.json() if response.content else None


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def pointers(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [error["pointer"] for error in response.json()["errors"]]


def make(client: Client, **values: Any) -> Any:
    return ok(send(client, "post", FLOWS, {"name": "Notes", "definition": DEFINITION, **values}), 201)


def published(client: Client, **values: Any) -> Any:
    made = make(client, **values)
    return ok(send(client, "post", f"{FLOWS}/{made['id']}/publish"))


# --- flows ------------------------------------------------------------------------------------------------------------


def test_flow_is_made_seen_changed_and_deleted(client: Client) -> None:
    response = send(client, "post", FLOWS, {"definition": DEFINITION})

    body = ok(response, 201)
    assert response["Location"] == f"{FLOWS}/{body['id']}"
    assert (body["name"], body["status"], body["version"], body["has_changes"]) == ("Notes", "draft", None, True)
    assert body["definition"] == DEFINITION and body["bindings"] == {} and body["trigger"] is None
    seen = client.get(response["Location"])
    assert ok(seen) == body and seen["ETag"] == response["ETag"]
    listed = ok(client.get(FLOWS))
    left_out = ("definition", "bindings", "has_changes")
    assert listed == {"data": [{k: v for k, v in body.items() if k not in left_out}], "next_cursor": None}

    changed = send(client, "patch", response["Location"], {"description": "Of all"}, **{"If-Match": seen["ETag"]})
    assert ok(changed)["description"] == "Of all" and changed["ETag"] != seen["ETag"]
    assert changed["ETag"] == client.get(response["Location"])["ETag"]
    again = send(client, "patch", response["Location"], {"description": "Mine"}, **{"If-Match": seen["ETag"]})
    assert refused(again) == (412, "PRECONDITION_FAILED")
    assert ok(send(client, "patch", response["Location"], {"name": "B"}, **{"If-Match": "*"}))["name"] == "B"
    assert send(client, "delete", response["Location"]).status_code == 204
    assert refused(client.get(response["Location"])) == (404, "NOT_FOUND")


def test_flow_is_made_of_a_template_or_an_export(client: Client) -> None:
    templates = ok(client.get("/api/v1/flow-templates"))["data"]
    assert [one["slug"] for one in templates] == list(READY)
    for one in templates:
        made = ok(send(client, "post", FLOWS, {"template": one["slug"]}), 201)
        assert made["definition"] == one["definition"] and made["name"] == one["title"]
        export = ok(client.get(f"{FLOWS}/{made['id']}/export"))
        copy = ok(send(client, "post", FLOWS, {"export": export, "name": f"Copy of {one['slug']}"}), 201)
        assert copy["definition"] == made["definition"] and copy["description"] == made["description"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/definition"),
        ({"definition": DEFINITION, "template": "x"}, "/template"),
        ({"template": "nonsense"}, "/template"),
        ({"export": {}}, "/export/lineshaft_flow"),
        ({"definition": []}, "/definition"),
        ({"definition": {**DEFINITION, "title": ""}}, "/name"),
        ({"definition": {**DEFINITION, "steps": []}}, "/definition/steps"),
        ({"definition": {**DEFINITION, "nonsense": 1}}, "/definition/nonsense"),
        ({"definition": {**DEFINITION, "steps": [{"name": "x", "do": "map"}]}}, "/definition/steps/0/value"),
        ({"definition": DEFINITION, "bindings": {"erp": "con_1"}}, "/bindings/erp"),
        ({"definition": DEFINITION, "bindings": {"erp": 7}}, "/bindings/erp"),
    ],
    ids=str,
)
def test_flow_when_something_is_wrong_then_its_place_is_named(client: Client, body: Any, pointer: str) -> None:
    assert pointers(send(client, "post", FLOWS, body))[0].startswith(pointer)
    assert ok(client.get(FLOWS))["data"] == []


def test_unknown_fields_and_parameters_are_400(client: Client) -> None:
    assert refused(send(client, "post", FLOWS, {"definition": DEFINITION, "draft": {}})) == (400, "UNKNOWN_FIELD")
    assert refused(client.get(f"{FLOWS}?name=x")) == (400, "UNKNOWN_PARAMETER")
    assert refused(client.get(f"{FLOWS}?status=nonsense")) == (400, "INVALID_PARAMETER")


def test_name_that_is_taken_is_409(client: Client) -> None:
    make(client)
    assert refused(send(client, "post", FLOWS, {"definition": DEFINITION})) == (409, "FLOW_NAME_TAKEN")


def test_list_is_filtered_and_paged(client: Client, workspace: Workspace) -> None:
    draft, active, paused = make(client), published(client, name="Active"), published(client, name="Paused")
    ok(send(client, "post", f"{FLOWS}/{paused['id']}/pause"))

    for status, expected in (("draft", draft), ("active", active), ("paused", paused)):
        assert [flow["id"] for flow in ok(client.get(f"{FLOWS}?status={status}"))["data"]] == [expected["id"]]
    assert len(ok(client.get(f"{FLOWS}?trigger=api"))["data"]) == 2
    assert ok(client.get(f"{FLOWS}?trigger=schedule"))["data"] == []
    first = ok(client.get(f"{FLOWS}?limit=2"))
    second = ok(client.get(f"{FLOWS}?limit=2&cursor={first['next_cursor']}"))
    assert [flow["id"] for flow in (*first["data"], *second["data"])] == [paused["id"], active["id"], draft["id"]]


def test_definition_is_checked_without_being_stored(client: Client) -> None:
    address = f"{FLOWS}/validate"
    assert ok(send(client, "post", address, {"definition": DEFINITION})) == {"errors": []}
    every: list[Any] = [None, 7, [], {}, {"trigger": {"on": "moon"}}]
    for wrong in every:
        errors = ok(send(client, "post", address, {"definition": wrong}))["errors"]
        assert errors and all(error["pointer"].startswith("/definition") for error in errors)
        assert all(set(error) == {"pointer", "code", "detail"} for error in errors)
    assert not ok(client.get(FLOWS))["data"]


def test_schema_of_definitions_takes_what_is_well_and_nothing_else(client: Client) -> None:
    schema = ok(client.get("/api/v1/flow-schema"))

    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    assert judge.is_valid(DEFINITION) and not judge.is_valid({**DEFINITION, "steps": []})


# --- publishing -------------------------------------------------------------------------------------------------------


def test_flow_is_published_paused_and_resumed(client: Client) -> None:
    made = make(client)
    address = f"{FLOWS}/{made['id']}"

    body = ok(send(client, "post", f"{address}/publish"))
    assert (body["status"], body["version"]["number"], body["trigger"]) == ("active", 1, "api")
    assert not body["has_changes"] and body["version"]["created_by"].startswith("token tok_")
    assert ok(send(client, "post", f"{address}/publish"))["version"]["number"] == 1
    changed = ok(send(client, "patch", address, {"definition": {**DEFINITION, "title": "Two"}}))
    assert changed["has_changes"] and changed["version"]["number"] == 1
    assert ok(send(client, "post", f"{address}/publish"))["version"]["number"] == 2
    assert ok(send(client, "post", f"{address}/pause"))["status"] == "paused"
    assert ok(send(client, "post", f"{address}/resume"))["status"] == "active"
    versions = ok(client.get(f"{address}/versions"))["data"]
    assert [version["number"] for version in versions] == [2, 1] and "definition" not in versions[0]
    assert ok(client.get(f"{address}/versions/1"))["definition"] == DEFINITION
    for number in (3, 2**40):
        assert refused(client.get(f"{address}/versions/{number}")) == (404, "NOT_FOUND")


def test_token_publishes_only_what_it_may_do_itself(client: Client, workspace: Workspace) -> None:
    erp = connect(workspace)
    definition = {**DEFINITION, "connections": {"erp": {}}, "steps": [READS]}
    made = make(client, definition=definition, bindings={"erp": f"con_{erp.pk.hex}"})
    address = f"{FLOWS}/{made['id']}"

    for path, body in (
        ("publish", {}),
        ("steps/find/test", {"input": {}}),
        ("dry-run", {"input": {"kind": "api"}}),
    ):
        response = send(client, "post", f"{address}/{path}", body)
        assert refused(response) == (403, "MISSING_SCOPE"), path
        problem = response.json()
        assert (problem["required_scope"], problem["step"]) == ("records.vendor:read", "find")
        assert "find" in problem["detail"]
    for scopes in (["records.vendor:read"], ["records:write"]):
        holder = client_of(workspace, "flows:write", *scopes)
        assert ok(send(holder, "post", f"{address}/publish"))["version"]["number"] == 1
    for use in ("draft", "published"):
        for path in ("steps/find/test", "dry-run"):
            assert refused(send(client, "post", f"{address}/{path}", {"use": use})) == (403, "MISSING_SCOPE"), path
    events = {**DEFINITION, "trigger": {"on": "event", "types": ["record.updated"]}}
    other = make(client, name="Other", definition=events)
    for held, missing in (
        (["flows:write"], "events:read"),
        (["flows:write", "events:read", "records.asset:read"], "records:read"),
    ):
        response = send(client_of(workspace, *held), "post", f"{FLOWS}/{other['id']}/publish")
        assert refused(response) == (403, "MISSING_SCOPE")
        assert (response.json()["required_scope"], response.json()["step"]) == (missing, "trigger")


def test_bindings_that_are_missing_are_named_when_it_is_published(client: Client) -> None:
    made = make(client, definition={**DEFINITION, "connections": {"erp": {}}})
    assert pointers(send(client, "post", f"{FLOWS}/{made['id']}/publish")) == ["/bindings/erp"]


def test_connection_tokens_and_other_environments_see_no_flows(client: Client, workspace: Workspace) -> None:
    made = make(client)
    of_connection = client_of(workspace, "flows:write", connection_id=connect(workspace).pk)
    trial = client_of(workspace, environment="test")

    for method, address in (
        ("get", FLOWS),
        ("post", FLOWS),
        ("get", "/api/v1/flow-runs"),
        ("post", f"{FLOWS}/validate"),
    ):
        assert refused(send(of_connection, method, address)) == (403, "PERMISSION_DENIED")
    for other in (of_connection, trial):
        assert refused(other.get(f"{FLOWS}/{made['id']}")) == (404, "NOT_FOUND")
    assert ok(trial.get(FLOWS))["data"] == []
    assert refused(send(client_of(workspace, "flows:read"), "post", FLOWS)) == (403, "MISSING_SCOPE")
    runner = client_of(workspace, "flows:run")
    assert refused(send(runner, "post", f"{FLOWS}/{made['id']}/publish")) == (403, "MISSING_SCOPE")
    ok(send(runner, "post", f"{FLOWS}/{made['id']}/pause"))


# --- secrets, addresses, messages -------------------------------------------------------------------------------------


def test_secrets_go_in_and_never_come_out(client: Client, workspace: Workspace) -> None:
    address = f"{FLOWS}/{make(client)['id']}/secrets"

    assert send(client, "put", f"{address}/chat", {"value": "canary-1"}).status_code == 201
    assert send(client, "put", f"{address}/chat", {"value": "canary-2"}).status_code == 204
    listed = client.get(address)
    assert [secret["name"] for secret in ok(listed)["data"]] == ["chat"] and b"canary" not in listed.content
    assert pointers(send(client, "put", f"{address}/Chat", {"value": "x"})) == ["/name"]
    assert pointers(send(client, "put", f"{address}/chat", {"value": "a\nb"})) == ["/value"]
    assert send(client, "delete", f"{address}/chat").status_code == 204
    assert refused(send(client, "delete", f"{address}/chat")) == (404, "NO_SUCH_SECRET")
    with scopes_disabled():
        assert not FlowSecret.objects.exists()


def test_address_is_shown_once(client: Client) -> None:
    made = make(client)
    address = f"{FLOWS}/{made['id']}/hook"

    assert refused(client.get(address)) == (404, "NO_HOOK_ADDRESS")
    response = send(client, "post", address, {"signing_secret": "canary"})
    body = ok(response, 201)
    assert f"/flow-hooks/{made['id']}/" in body["url"] and response["Cache-Control"] == "no-store"
    assert body["has_signing_secret"] and "canary" not in json.dumps(body)
    assert ok(client.get(address)) == {name: value for name, value in body.items() if name != "url"}
    assert ok(send(client, "post", address), 201)["url"] != body["url"]
    assert not ok(send(client, "patch", address, {"signing_secret": ""}))["has_signing_secret"]
    assert send(client, "delete", address).status_code == 204
    assert refused(send(client, "patch", address, {"signing_secret": "x"})) == (404, "NO_HOOK_ADDRESS")


def test_messages_are_listed_with_the_start_of_what_came(client: Client, workspace: Workspace) -> None:
    made = make(client)
    with scope(workspace=workspace.pk):
        flow = Flow.objects.get(pk=UUID(made["id"].removeprefix("flow_")))
        for status, body in (("started", b"x" * 5000), ("refused", b"\xff{}")):
            facts: dict[str, Any] = {"workspace": workspace, "flow": flow, "headers": {"user-agent": "erp"}}
            FlowHookMessage(status=status, body=body, **facts).save(force_insert=True)

    data = ok(client.get(f"{FLOWS}/{made['id']}/messages"))["data"]
    assert [(one["status"], one["body_bytes"], len(one["body"])) for one in data] == [
        ("refused", 3, 3),
        ("started", 5000, 4096),
    ]
    only = ok(client.get(f"{FLOWS}/{made['id']}/messages?status=refused"))["data"]
    assert [one["id"] for one in only] == [data[0]["id"]]


# --- the schema -------------------------------------------------------------------------------------------------------


def test_answers_are_as_the_schema_says(client: Client, workspace: Workspace) -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    made = published(client)
    address = f"{FLOWS}/{made['id']}"
    send(client, "put", f"{address}/secrets/chat", {"value": "x"})
    send(client, "post", f"{address}/hook")
    run = ok(send(client, "post", f"{address}/runs", {"body": {"a": 1}}), 202)

    for path, url in (
        ("flows", FLOWS),
        ("flows/{flow_id}", address),
        ("flows/{flow_id}/versions", f"{address}/versions"),
        ("flows/{flow_id}/versions/{number}", f"{address}/versions/1"),
        ("flows/{flow_id}/export", f"{address}/export"),
        ("flows/{flow_id}/secrets", f"{address}/secrets"),
        ("flows/{flow_id}/hook", f"{address}/hook"),
        ("flows/{flow_id}/messages", f"{address}/messages"),
        ("flows/{flow_id}/runs", f"{address}/runs"),
        ("flow-templates", "/api/v1/flow-templates"),
        ("flow-runs", "/api/v1/flow-runs"),
        ("flow-runs/{flow_run_id}", f"/api/v1/flow-runs/{run['id']}"),
        ("flow-runs/{flow_run_id}/steps", f"/api/v1/flow-runs/{run['id']}/steps"),
    ):
        told = schema["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        judge = Draft202012Validator({**told, "components": schema["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in judge.iter_errors(ok(client.get(url)))]
        assert errors == [], path
    with scopes_disabled():
        assert FlowRun.objects.count() == 1
