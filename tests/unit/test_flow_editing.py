"""Flows made, changed, published, paused, carried elsewhere and deleted; their secrets and addresses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core.api_errors import PreconditionFailedError
from core.errors import ConflictError, LineshaftError, NotFoundError, ValidationFailedError
from core.ids import new_id
from flows.models import Flow, FlowHookAddress, FlowRun, FlowSecret, FlowVersion, StepRun
from flows.services import addresses, editing
from flows.services.demands import demands_of
from flows.services.drafts import read_draft
from flows.services.flow_secrets import header_value, remove_flow_secret, secrets_of, set_flow_secret
from tests.tenants import emit_now, make_workspace
from workspaces.models import AuditEvent, Workspace

pytestmark = pytest.mark.django_db
BY = "token tok_1"
API: dict[str, Any] = {"on": "api"}
EVENT: dict[str, Any] = {"on": "event", "types": ["sync.completed"]}
SCHEDULE: dict[str, Any] = {"on": "schedule", "cron": "0 8 * * *", "zone": "Europe/Berlin"}
NOTE: dict[str, Any] = {"name": "note", "do": "map", "value": {"a": 1.5, "b": [True, None]}}


@pytest.fixture
def workspace() -> Any:
    made = make_workspace()
    with scope(workspace=made.pk):
        yield made


def connect(workspace: Workspace, system: str = "tryton", environment: str = "live", **facts: Any) -> Connection:
    made = Connection(workspace=workspace, system=system, name="Plant", environment=environment, **facts)
    made.save(force_insert=True)
    return made


def define(*steps: dict[str, Any], trigger: Any = API, **facts: Any) -> dict[str, Any]:
    return {"trigger": trigger, "steps": list(steps) or [NOTE], **facts}


def make(workspace: Workspace, definition: Any = None, **facts: Any) -> Flow:
    values = {"name": "Orders", "definition": definition or define(), "by": BY, **facts}
    return editing.create_flow(workspace, "live", **values)


def shown(connection: Connection) -> str:
    return f"con_{connection.pk.hex}"


def actions() -> list[str]:
    rows = AuditEvent.objects.with_scopes_disabled().filter(action__startswith="flow.").order_by("id")
    return [str(action) for action in rows.values_list("action", flat=True)]


def pointers(raised: Any) -> list[tuple[str, str]]:
    return [(error.pointer, error.code) for error in raised.value.errors]


def run_of(flow: Flow, **facts: Any) -> FlowRun:
    flow.refresh_from_db()
    where = {"workspace": flow.workspace, "environment": flow.environment}
    run = FlowRun(flow=flow, version=flow.version, trigger="api", **where, **facts)
    run.save(force_insert=True)
    return run


# --- drafts -----------------------------------------------------------------------------------------------------------


def test_new_flow_is_a_draft_that_does_nothing(workspace: Workspace) -> None:
    flow = make(workspace, description="What it does")

    assert (flow.version, flow.trigger_kind, flow.next_due_at, flow.is_paused) == (None, "", None, False)
    assert flow.draft == define() and flow.created_by == BY
    with scopes_disabled():
        told = AuditEvent.objects.get(action="flow.created")
    assert told.object_id == f"flow_{flow.pk.hex}" and told.details == {"name": "Orders", "environment": "live"}


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        ({}, "/definition/trigger"),
        (define({"name": "note", "do": "nothing"}), "/definition/steps/0/do"),
        (define(NOTE, NOTE), "/definition/steps/1/name"),
        (define(trigger={**SCHEDULE, "cron": "never"}), "/definition/trigger/cron"),
        (define({"name": "note", "do": "map", "value": {"$": "a["}}), "/definition/steps/0/value"),
    ],
)
def test_draft_when_it_is_not_valid_is_refused_by_pointer(workspace: Workspace, definition: Any, pointer: str) -> None:
    flow = make(workspace)

    for change in (
        lambda: editing.create_flow(workspace, "live", name="Other", definition=definition, by=BY),
        lambda: editing.change_flow(flow, definition=definition, by=BY),
    ):
        with pytest.raises(ValidationFailedError) as raised:
            change()
        assert any(found.startswith(pointer) for found, _ in pointers(raised)), pointers(raised)
    assert Flow.objects.count() == 1 and actions() == ["flow.created"]


def test_name_is_one_of_its_kind_in_each_environment(workspace: Workspace) -> None:
    first, second = make(workspace), make(workspace, name=" Other ")

    assert second.name == "Other"
    editing.create_flow(workspace, "test", name="Orders", definition=define(), by=BY)
    for change in (
        lambda: make(workspace),
        lambda: editing.change_flow(second, name="Orders", by=BY),
    ):
        with pytest.raises(ConflictError) as raised:
            change()
        assert raised.value.code == "FLOW_NAME_TAKEN" and pointers(raised) == [("/name", "FLOW_NAME_TAKEN")]
    with pytest.raises(ValidationFailedError):
        editing.change_flow(first, name=" ", by=BY)


def test_flows_are_limited_in_number(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "MOST_FLOWS", 1)
    make(workspace)

    with pytest.raises(ConflictError) as raised:
        make(workspace, name="One more")
    assert raised.value.code == "TOO_MANY_FLOWS"


def test_change_tells_which_fields_and_nothing_when_nothing_differs(workspace: Workspace) -> None:
    flow = make(workspace)
    revision = editing.revision_of(flow)

    same = editing.change_flow(flow, name="Orders", definition=define(), by=BY)
    assert editing.revision_of(same) == revision and actions() == ["flow.created"]
    changed = editing.change_flow(flow, description="New", by=BY, if_revision=revision)
    with pytest.raises(PreconditionFailedError):
        editing.change_flow(flow, description="Newer", by=BY, if_revision=revision)
    assert changed.description == "New"
    with scopes_disabled():
        assert AuditEvent.objects.get(action="flow.changed").details == {"changed": ["description"], "by": BY}


# --- bindings ---------------------------------------------------------------------------------------------------------

TWO = {"cmms": {"system": "maintainx"}, "erp": {"title": "ERP"}}


def test_bindings_must_lead_to_connections_of_the_flow(workspace: Workspace) -> None:
    cmms, erp = connect(workspace, "maintainx"), connect(workspace)
    with scopes_disabled():
        foreign, trial = connect(make_workspace("Other")), connect(workspace, environment="test")
    flow = make(workspace, define(connections=TWO))

    for bindings, expected in (
        ({"erp": shown(foreign)}, ("/bindings/erp", "UNKNOWN_CONNECTION")),
        ({"erp": shown(trial)}, ("/bindings/erp", "UNKNOWN_CONNECTION")),
        ({"erp": "con_nonsense"}, ("/bindings/erp", "UNKNOWN_CONNECTION")),
        ({"cmms": shown(erp)}, ("/bindings/cmms", "WRONG_SYSTEM")),
        ({"mes": shown(erp)}, ("/bindings/mes", "UNKNOWN_NAME")),
    ):
        with pytest.raises(ValidationFailedError) as raised:
            editing.change_flow(flow, bindings=bindings, by=BY)
        assert pointers(raised) == [expected]
    with pytest.raises(ValidationFailedError) as raised:
        editing.publish(flow, by=BY)
    assert sorted(pointers(raised)) == [("/bindings/cmms", "NOT_BOUND"), ("/bindings/erp", "NOT_BOUND")]
    editing.change_flow(flow, bindings={"cmms": shown(cmms), "erp": shown(erp).upper().replace("CON_", "con_")}, by=BY)
    version = editing.publish(flow, by=BY)
    assert version.bindings == {"cmms": shown(cmms), "erp": shown(erp)}


def test_connection_that_was_ended_is_not_published(workspace: Workspace) -> None:
    erp = connect(workspace)
    flow = make(workspace, define(connections={"erp": {}}), bindings={"erp": shown(erp)})
    Connection.objects.filter(pk=erp.pk).update(health="disconnected")

    with pytest.raises(ValidationFailedError) as raised:
        editing.publish(flow, by=BY)
    assert pointers(raised) == [("/bindings/erp", "CONNECTION_DISCONNECTED")]


def test_definition_without_a_name_loses_its_binding_and_keeps_the_others(workspace: Workspace) -> None:
    cmms, erp = connect(workspace, "maintainx"), connect(workspace)
    flow = make(workspace, define(connections=TWO), bindings={"cmms": shown(cmms), "erp": shown(erp)})

    changed = editing.change_flow(flow, definition=define(connections={"erp": {}}), by=BY)
    assert changed.bindings == {"erp": shown(erp)}


def test_connection_of_the_trigger_is_not_bound(workspace: Workspace) -> None:
    flow = make(workspace, define(trigger=EVENT, connections={"source": {"of_trigger": True}}))

    assert editing.publish(flow, by=BY).bindings == {}
    with pytest.raises(ValidationFailedError) as raised:
        editing.change_flow(flow, bindings={"source": shown(connect(workspace))}, by=BY)
    assert pointers(raised) == [("/bindings/source", "UNKNOWN_NAME")]


# --- publishing -------------------------------------------------------------------------------------------------------


def test_published_version_is_frozen_and_equal_ones_make_no_new_one(workspace: Workspace) -> None:
    flow = make(workspace)
    first = editing.publish(flow, by=BY)

    again = editing.publish(flow, by=BY)
    editing.change_flow(flow, definition={**define(), "title": "New"}, by=BY)
    second = editing.publish(flow, by="ann")
    assert (first.pk, first.number, second.number, second.created_by) == (again.pk, 1, 2, "ann")
    first.refresh_from_db()
    assert first.definition == define() and second.definition["title"] == "New"
    flow.refresh_from_db()
    assert flow.version == second and flow.trigger_kind == "api"
    assert actions() == ["flow.created", "flow.published", "flow.changed", "flow.published"]


def test_number_of_a_version_is_not_that_of_a_draft_that_was_tried(workspace: Workspace) -> None:
    flow = make(workspace)
    FlowVersion(workspace=workspace, flow=flow, number=None, definition={}, digest="0").save(force_insert=True)

    assert editing.publish(flow, by=BY).number == 1


def test_draft_that_was_changed_since_it_was_looked_at_is_not_published(workspace: Workspace) -> None:
    flow = make(workspace)
    seen = flow.draft
    editing.change_flow(flow, definition={**define(), "title": "New"}, by=BY)

    with pytest.raises(ConflictError) as raised:
        editing.publish(flow, by=BY, of_draft=seen)
    assert raised.value.code == "FLOW_CHANGED"


def test_event_trigger_begins_at_the_present_end_of_the_feed_and_goes_on_from_where_it_is(
    workspace: Workspace,
) -> None:
    emit_now(workspace)
    flow = make(workspace, define(trigger=EVENT))
    emit_now(workspace)
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert (flow.trigger_kind, flow.position, flow.next_due_at) == ("event", 2, None)

    emit_now(workspace)
    editing.change_flow(flow, definition=define(trigger={**EVENT, "types": ["sync.failed"]}), by=BY)
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert flow.position == 2, "publishing skips no event"


def test_schedule_gets_its_next_time_and_keeps_one_that_is_due(workspace: Workspace) -> None:
    flow = make(workspace, define(trigger=SCHEDULE))
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert flow.next_due_at is not None
    assert timezone.now() < flow.next_due_at <= timezone.now() + timedelta(days=1, hours=1)

    due = timezone.now() - timedelta(minutes=1)
    Flow.objects.filter(pk=flow.pk).update(next_due_at=due)
    editing.change_flow(flow, definition=define(trigger=SCHEDULE, title="New"), by=BY)
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert flow.next_due_at == due, "publishing skips no time"
    editing.change_flow(flow, definition=define(), by=BY)
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert flow.next_due_at is None and flow.trigger_kind == "api"


def test_pause_and_resume(workspace: Workspace) -> None:
    flow = make(workspace, define(trigger=SCHEDULE))
    editing.publish(flow, by=BY)

    assert editing.pause(flow, by=BY).next_due_at is None
    editing.pause(flow, by=BY)
    editing.change_flow(flow, definition=define(trigger=EVENT), by=BY)
    editing.publish(flow, by=BY)
    emit_now(workspace)
    resumed = editing.resume(flow, by=BY)
    assert (resumed.is_paused, resumed.position) == (False, 1), "what fell into the pause is not told"
    assert actions()[-4:] == ["flow.paused", "flow.changed", "flow.published", "flow.resumed"]


def test_paused_schedule_stays_without_a_time_until_it_is_resumed(workspace: Workspace) -> None:
    flow = make(workspace, define(trigger=SCHEDULE))
    editing.pause(flow, by=BY)
    editing.publish(flow, by=BY)
    flow.refresh_from_db()
    assert flow.next_due_at is None
    assert editing.resume(flow, by=BY).next_due_at is not None


def test_demands_name_what_each_step_does(workspace: Workspace) -> None:
    steps: list[dict[str, Any]] = [
        {"name": "find", "do": "list_records", "connection": "erp", "entity": "vendor"},
        {
            "name": "each",
            "do": "for_each",
            "items": "steps.find.records",
            "steps": [
                {"name": "order", "do": "create_record", "connection": "erp", "entity": "purchase_order", "body": {}}
            ],
        },
        {"name": "hear", "do": "wait", "event": {"types": ["operation.succeeded"]}},
    ]
    trigger = {"on": "event", "types": ["record.updated"], "entities": ["asset"]}
    definition = read_draft(define(*steps, trigger=trigger, connections={"erp": {}}))

    assert {(demand.scope, demand.by) for demand in demands_of(definition)} == {
        ("events:read", "trigger"),
        ("records.asset:read", "trigger"),
        ("records.vendor:read", "find"),
        ("records.purchase_order:write", "order"),
        ("events:read", "hear"),
    }


# --- elsewhere, and away ----------------------------------------------------------------------------------------------


def test_export_leaves_connections_and_secrets_here_and_is_imported_elsewhere(workspace: Workspace) -> None:
    erp = connect(workspace)
    flow = make(workspace, define(connections={"erp": {}}), bindings={"erp": shown(erp)}, description="All of them")
    set_flow_secret(flow, "chat", "canary-secret", by=BY)

    export = editing.export_flow(flow)
    assert export["secrets"] == ["chat"] and shown(erp) not in str(export) and "canary" not in str(export)
    with scopes_disabled():
        other = make_workspace("Other")
    with scope(workspace=other.pk):
        made = editing.import_flow(other, "test", export, by=BY)
        assert (made.name, made.description, made.draft, made.bindings) == (
            "Orders", "All of them", flow.draft, {},
        )  # fmt: skip
        assert editing.import_flow(other, "test", export, by=BY, name="Twice").name == "Twice"
        for wrong in ({}, {**export, "lineshaft_flow": 2}, {**export, "definition": 7}, {**export, "name": None}):
            with pytest.raises(ValidationFailedError) as raised:
                editing.import_flow(other, "test", wrong, by=BY)
            assert pointers(raised)[0][0].startswith("/export/")
        with pytest.raises(ValidationFailedError) as raised:
            editing.import_flow(other, "test", {**export, "definition": {}}, by=BY)
        assert pointers(raised)[0][0].startswith("/export/definition")


def test_flow_goes_with_all_that_hangs_on_it_but_not_while_it_runs(workspace: Workspace) -> None:
    flow, kept = make(workspace), make(workspace, name="Kept")
    for each in (flow, kept):
        editing.publish(each, by=BY)
        set_flow_secret(each, "chat", "value", by=BY)
        addresses.renew_hook_address(each, by=BY)
    run = run_of(flow)
    StepRun(workspace=workspace, run=run, path="note", name="note", kind="map").save(force_insert=True)
    run_of(kept)

    with pytest.raises(ConflictError) as raised:
        editing.delete_flow(flow, by=BY)
    assert raised.value.code == "FLOW_HAS_RUNS"
    FlowRun.objects.filter(pk=run.pk).update(status="failed")
    editing.delete_flow(flow, by=BY)
    for model in (Flow, FlowVersion, FlowRun, FlowSecret, FlowHookAddress):
        assert model.objects.count() == 1, model
    assert not StepRun.objects.exists() and actions()[-1] == "flow.deleted"
    with pytest.raises(ConflictError):
        editing.pause(Flow(pk=new_id(), workspace=workspace), by=BY)


# --- secrets and addresses --------------------------------------------------------------------------------------------


def test_secret_is_stored_replaced_and_removed_and_never_told(workspace: Workspace) -> None:
    flow = make(workspace)

    assert set_flow_secret(flow, "chat", "canary-one", by=BY)
    assert not set_flow_secret(flow, "chat", "canary-two", by=BY)
    assert header_value(flow, "chat") == "canary-two"
    assert [secret.name for secret in secrets_of(flow)] == ["chat"]
    remove_flow_secret(flow, "chat", by=BY)
    with pytest.raises(LineshaftError) as raised:
        header_value(flow, "chat")
    assert raised.value.code == "FLOW_SECRET_MISSING"
    with pytest.raises(NotFoundError):
        remove_flow_secret(flow, "chat", by=BY)
    with scopes_disabled():
        assert "canary" not in str(list(AuditEvent.objects.values_list("details", flat=True)))


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("Chat", "fine", "/name"),
        ("chat", "two\r\nlines", "/value"),
        ("chat", "", "/value"),
        ("chat", " spaced", "/value"),
        ("chat", "größe", "/value"),
        ("chat", "x" * 4001, "/value"),
    ],
)
def test_secret_when_no_header_could_hold_it_is_refused(
    workspace: Workspace, name: str, value: str, pointer: str
) -> None:
    with pytest.raises(ValidationFailedError) as raised:
        set_flow_secret(make(workspace), name, value, by=BY)
    assert pointers(raised)[0][0] == pointer and not FlowSecret.objects.exists()


def test_address_is_shown_once_and_renewed(workspace: Workspace) -> None:
    flow = make(workspace)
    with pytest.raises(NotFoundError):
        addresses.address_of(flow)

    row, url = addresses.renew_hook_address(flow, by=BY, signing_secret="shared")
    found = re.fullmatch(rf"https?://[^/]+/flow-hooks/flow_{flow.pk.hex}/([A-Za-z0-9_-]{{43}})", url)
    assert found and bytes(row.digest) == addresses.digest_of(found[1])
    assert addresses.signing_secret_of(row) == "shared"
    again, other = addresses.renew_hook_address(flow, by=BY)
    assert other != url and addresses.signing_secret_of(again) == "shared", "kept"
    assert FlowHookAddress.objects.count() == 1
    assert addresses.signing_secret_of(addresses.store_signing_secret(flow, "", by=BY)) is None
    addresses.remove_hook_address(flow, by=BY)
    assert not FlowHookAddress.objects.exists()
    assert actions()[1:] == [
        "flow.hook_address_made", "flow.hook_address_renewed", "flow.hook_secret_removed", "flow.hook_address_removed",
    ]  # fmt: skip
