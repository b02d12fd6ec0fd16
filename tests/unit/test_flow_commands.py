"""Flows at the terminal: exported, imported, run."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from flows.models import Flow, FlowRun
from flows.services.editing import create_flow, publish
from tests.tenants import make_workspace
from workspaces.models import AuditEvent, Workspace

STEPS: list[dict[str, Any]] = [{"name": "text", "do": "map", "value": {"$": "trigger.body.name"}}]
DEFINITION: dict[str, Any] = {"title": "Hello", "trigger": {"on": "api"}, "steps": STEPS}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def run(command: str, *words: str, **options: Any) -> str:
    out = StringIO()
    call_command(command, *words, stdout=out, stderr=StringIO(), **options)
    return out.getvalue().strip()


def make(workspace: Workspace, definition: Any = None, name: str = "Hello") -> Flow:
    with scope(workspace=workspace.pk):
        flow = create_flow(workspace, "live", name=name, definition=definition or DEFINITION, by="ann")
        publish(flow, by="ann")
    return flow


def shown(flow: Flow) -> str:
    return str(ids.show(Flow.PREFIX, flow.pk))


def found(told: str) -> Flow:
    value = ids.read(Flow.PREFIX, told)
    assert value is not None, told
    flow: Flow = Flow.objects.get(pk=value)
    return flow


def write(folder: Path, content: Any) -> str:
    path = folder / "flow.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.django_db
def test_export_is_written_once_and_imported_with_bindings(workspace: Workspace, tmp_path: Path) -> None:
    needs = {**DEFINITION, "connections": {"erp": {}}}
    with scope(workspace=workspace.pk):
        flow = create_flow(workspace, "live", name="Hello", definition=needs, by="ann")
        erp = Connection(workspace=workspace, system="tryton", name="ERP", environment="test")
        erp.save(force_insert=True)
    target = str(tmp_path / "hello.json")

    assert json.loads(run("export_flow", "Hello"))["definition"] == needs
    run("export_flow", shown(flow), to=target)
    with pytest.raises(CommandError, match="was not written"):
        run("export_flow", "Hello", to=target)
    made = run("import_flow", workspace.slug, target, environment="test", bind=[f"erp=con_{erp.pk.hex}"], publish=True)
    with scopes_disabled():
        copy = found(made)
        assert copy.environment == "test" and copy.version is not None and copy.draft == needs
        told = AuditEvent.objects.filter(object_id=made).order_by("id")
        assert [event.action for event in told] == ["flow.created", "flow.published"]
        assert all("manage.py import_flow" in event.actor for event in told)


@pytest.mark.django_db
def test_definition_alone_is_imported_by_its_title(workspace: Workspace, tmp_path: Path) -> None:
    made = run("import_flow", workspace.slug, write(tmp_path, DEFINITION))
    with scopes_disabled():
        assert found(made).name == "Hello"
    assert run("import_flow", workspace.slug, write(tmp_path, DEFINITION), name="Other")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ([], {}, "must hold a JSON object"),
        ({**DEFINITION, "steps": []}, {}, "/definition/steps"),
        ({**DEFINITION, "connections": {"erp": {}}}, {"publish": True}, "/bindings/erp"),
        (DEFINITION, {"bind": ["erp"]}, "--bind takes"),
        (DEFINITION, {"bind": ["erp=con_1"]}, "/bindings/erp"),
    ],
    ids=str,
)
def test_import_when_something_is_wrong_then_nothing_is_made(
    workspace: Workspace, tmp_path: Path, content: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(CommandError, match=told):
        run("import_flow", workspace.slug, write(tmp_path, content), **options)
    with pytest.raises(CommandError, match="cannot be read"):
        run("import_flow", workspace.slug, str(tmp_path / "none.json"))
    with scopes_disabled():
        assert not Flow.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_flow_is_run_inline(workspace: Workspace) -> None:
    flow = make(workspace)

    told = run("run_flow", shown(flow), "--inline", body='{"name": "world"}')
    assert "succeeded" in told and "text" in told
    body = json.loads(run("run_flow", "Hello", "--inline", "--json", body='{"name": "world"}'))
    assert (body["status"], body["trigger"], body["triggered_by"]) == ("succeeded", "manual", "manage.py run_flow")
    assert [step["output"] for step in body["steps"]] == ["world"]
    dry = json.loads(run("run_flow", "Hello", "--inline", "--dry", "--json", body='{"body": {"name": "dry"}}'))
    assert dry["is_dry"] and dry["steps"][0]["output"] == "dry"


@pytest.mark.django_db(transaction=True)
def test_run_that_fails_is_told_and_ends_with_an_error(workspace: Workspace) -> None:
    stop = {"name": "stop", "do": "stop", "outcome": "failed", "message": "No more."}
    make(workspace, {**DEFINITION, "steps": [stop]})

    with pytest.raises(CommandError, match="failed"):
        run("run_flow", "Hello", "--inline")


@pytest.mark.django_db
def test_run_is_only_queued_unless_told(workspace: Workspace) -> None:
    make(workspace)

    assert "queued" in run("run_flow", "Hello")
    for words, told in ((["Nobody"], "There is no flow"), (["Hello", "--body", "[]"], "JSON object")):
        with pytest.raises(CommandError, match=told):
            run("run_flow", *words)
    with scopes_disabled():
        assert FlowRun.objects.count() == 1
    other = make(make_workspace("Other"))
    with pytest.raises(CommandError, match=shown(other)):
        run("run_flow", "Hello")


@pytest.mark.django_db
def test_draft_is_not_run(workspace: Workspace) -> None:
    with scope(workspace=workspace.pk):
        create_flow(workspace, "live", name="Draft", definition=DEFINITION, by="ann")
    with pytest.raises(CommandError, match="never published"):
        run("run_flow", "Draft")
